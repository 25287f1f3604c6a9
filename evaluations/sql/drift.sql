-- What the database itself refuses, part 8: what the drift watch is held to.
-- How to read the rules: see events/sql/guards.sql. Lock order: watch → night → finding.

-- Whether a run is a reference of what a watch watches.
CREATE OR REPLACE FUNCTION public.promptforge_reference_fits(run bigint, rule bigint, version bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT EXISTS (SELECT FROM public.evaluations_evaluationrun r
        JOIN public.evaluations_setrevision v ON v.id = r.set_revision_id
        JOIN public.evaluations_evaluationrule u ON u.id = rule
        WHERE r.id = run AND r.purpose = 'reference' AND r.candidate_id = version
          AND v.set_id = u.set_id AND r.connection_id = u.connection_id AND r.channel_id = u.channel_id);
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_watch_write() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    rule public.evaluations_evaluationrule;
    project bigint;
BEGIN
    SELECT * INTO STRICT rule FROM public.evaluations_evaluationrule WHERE id = NEW.rule_id;
    SELECT project_id INTO STRICT project FROM public.prompts_channel WHERE id = rule.channel_id;
    -- [watch_of_rule]
    IF NOT EXISTS (SELECT FROM public.prompts_prompt p JOIN public.prompts_promptversion v ON v.prompt_id = p.id
            WHERE p.id = NEW.prompt_id AND v.id = NEW.version_id AND p.project_id = project AND coalesce(rule.prompt_id, p.id) = p.id)
        OR (NEW.reference_id IS NOT NULL AND NOT public.promptforge_reference_fits(NEW.reference_id, NEW.rule_id, NEW.version_id)) THEN
        PERFORM public.promptforge_refuse('watch_of_rule', 'A watch holds a version under a rule of its project against a reference of exactly these.');
    END IF;
    -- [end]
    -- [watch_kept]
    IF TG_OP = 'UPDATE' AND (NEW.id, NEW.rule_id, NEW.prompt_id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.rule_id, OLD.prompt_id, OLD.created_at) THEN
        PERFORM public.promptforge_refuse('watch_kept', 'A watch stays with its rule and its prompt.');
    END IF;
    -- [end]
    -- [watch_freezes_by_right]
    IF NEW.freezes_for_id IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.freezes_for_id IS DISTINCT FROM OLD.freezes_for_id)
        AND NOT public.promptforge_configures(NEW.freezes_for_id, project) THEN
        PERFORM public.promptforge_refuse('watch_freezes_by_right', 'A drift freezes a channel in the name of somebody who may.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_night_write() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    watch public.evaluations_driftwatch;
    run public.evaluations_evaluationrun;
BEGIN
    SELECT * INTO STRICT watch FROM public.evaluations_driftwatch WHERE id = NEW.watch_id;
    SELECT * INTO STRICT run FROM public.evaluations_evaluationrun WHERE id = NEW.run_id;
    IF TG_OP = 'INSERT' THEN
        -- [night_of_watch]
        IF run.purpose <> 'drift' OR NEW.reference_id IS DISTINCT FROM watch.reference_id OR NEW.figures <> 'null'
            OR NOT EXISTS (SELECT FROM public.evaluations_evaluationrun r WHERE r.id = NEW.reference_id
                AND (r.candidate_id, r.connection_id, r.channel_id) = (run.candidate_id, run.connection_id, run.channel_id)) THEN
            PERFORM public.promptforge_refuse('night_of_watch', 'A night is a run against the reference of its watch, of the same version by the same connection.');
        END IF;
        -- [end]
        NEW.begun_at := public.promptforge_now();
        RETURN NEW;
    END IF;
    -- [night_judged_once]
    IF OLD.figures <> 'null' OR run.status NOT IN ('done', 'cancelled')
        OR (to_jsonb(NEW) - 'figures') IS DISTINCT FROM (to_jsonb(OLD) - 'figures') THEN
        PERFORM public.promptforge_refuse('night_judged_once', 'What a night came to is written once, when its run ended.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_finding_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    night public.evaluations_driftnight;
BEGIN
    SELECT * INTO STRICT night FROM public.evaluations_driftnight WHERE id = NEW.night_id;
    -- [finding_of_night]
    IF night.watch_id <> NEW.watch_id OR night.figures = 'null' OR btrim(NEW.sentence) = '' THEN
        PERFORM public.promptforge_refuse('finding_of_night', 'A finding tells what a judged night of its watch came to.');
    END IF;
    -- [end]
    -- [drift_is_confirmed]
    IF NEW.level = 'drift' AND NOT (night.confirms AND EXISTS (SELECT FROM public.evaluations_driftfinding f
            JOIN public.evaluations_driftnight n ON n.id = f.night_id
            WHERE f.watch_id = NEW.watch_id AND f.level = 'suspect' AND n.id < night.id AND n.reference_id = night.reference_id)) THEN
        PERFORM public.promptforge_refuse('drift_is_confirmed', 'A drift was suspected before, and is confirmed by fresh samples.');
    END IF;
    -- [end]
    NEW.at := public.promptforge_now();
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE TRIGGER watch_write BEFORE INSERT OR UPDATE ON public.evaluations_driftwatch
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_watch_write();
CREATE OR REPLACE TRIGGER watch_kept BEFORE DELETE ON public.evaluations_driftwatch
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER watch_not_truncated BEFORE TRUNCATE ON public.evaluations_driftwatch
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER night_write BEFORE INSERT OR UPDATE ON public.evaluations_driftnight
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_night_write();
CREATE OR REPLACE TRIGGER night_kept BEFORE DELETE ON public.evaluations_driftnight
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER night_not_truncated BEFORE TRUNCATE ON public.evaluations_driftnight
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER finding_insert BEFORE INSERT ON public.evaluations_driftfinding
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_finding_insert();
CREATE OR REPLACE TRIGGER finding_frozen BEFORE UPDATE OR DELETE ON public.evaluations_driftfinding
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER finding_not_truncated BEFORE TRUNCATE ON public.evaluations_driftfinding
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
