-- What the database itself refuses, part 5: observations and feedback.

-- Once a statement, whatever it inserts: a look-up and a lock for each of a thousand rows would cost more than the rows.
CREATE OR REPLACE FUNCTION public.promptforge_observation_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [observation_of_its_project]
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT project_id, prompt_id, version_id, channel_id, key_id FROM added) o
        WHERE NOT EXISTS (SELECT FROM public.prompts_promptversion v JOIN public.prompts_prompt p ON p.id = v.prompt_id
                WHERE v.id = o.version_id AND p.id = o.prompt_id AND p.project_id = o.project_id)
            OR NOT EXISTS (SELECT FROM public.accounts_apikey k WHERE k.id = o.key_id AND k.project_id = o.project_id)
            OR (o.channel_id IS NOT NULL AND NOT EXISTS (SELECT FROM public.prompts_channel c
                WHERE c.id = o.channel_id AND c.project_id = o.project_id))
    ) THEN
        PERFORM public.promptforge_refuse('observation_of_its_project', 'An observation names a prompt, a version of it, a channel and a key of its own project.');
    END IF;
    -- [end]
    RETURN NULL;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_feedback_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [feedback_of_its_observation]
    IF NOT EXISTS (SELECT FROM public.delivery_observation o WHERE o.project_id = NEW.project_id AND o.uid = NEW.observation)
        AND NOT EXISTS (SELECT FROM public.delivery_observation o WHERE o.project_id = NEW.project_id AND o.trace_id = NEW.trace_id)
        OR NOT EXISTS (SELECT FROM public.accounts_apikey k WHERE k.id = NEW.key_id AND k.project_id = NEW.project_id) THEN
        PERFORM public.promptforge_refuse('feedback_of_its_observation', 'Feedback is about an observation or a trace of its own project.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE TRIGGER observation_insert AFTER INSERT ON public.delivery_observation
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_observation_insert();
CREATE OR REPLACE TRIGGER observation_frozen BEFORE UPDATE OR DELETE ON public.delivery_observation
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER observation_not_truncated BEFORE TRUNCATE ON public.delivery_observation
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER feedback_insert BEFORE INSERT ON public.delivery_feedback
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_feedback_insert();
CREATE OR REPLACE TRIGGER feedback_frozen BEFORE UPDATE OR DELETE ON public.delivery_feedback
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER feedback_not_truncated BEFORE TRUNCATE ON public.delivery_feedback
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
