-- What the database itself refuses, part 7: what goes live without the evaluation that its channel demands.
-- How to read the rules: see events/sql/guards.sql. Lock order: channel → head → promotion (as every release) → rules.

-- The demands that stand for one prompt on one channel.
CREATE OR REPLACE FUNCTION public.promptforge_rules(channel bigint, prompt bigint) RETURNS SETOF public.evaluations_evaluationrule
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT u.* FROM public.evaluations_evaluationrule u JOIN public.evaluations_evaluationset s ON s.id = u.set_id
    WHERE u.channel_id = channel AND u.removed_at IS NULL
      AND coalesce(u.prompt_id, prompt) = prompt AND coalesce(s.prompt_id, prompt) = prompt;
$guard$;

-- Whether what a run kept of a connection is what the connection says now.
CREATE OR REPLACE FUNCTION public.promptforge_same_model(kept text, connection bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT kept::jsonb @> jsonb_build_object('kind', c.kind, 'base_url', c.base_url, 'model', c.model, 'parameters', c.parameters::jsonb)
        AND (kept::jsonb -> 'parameters') = c.parameters::jsonb AND c.removed_at IS NULL
    FROM public.evaluations_modelconnection c WHERE c.id = connection;
$guard$;

-- The runs that are of exactly this, however far they came: the rule's set as it is now, its model and judge as they are
-- now, this version against exactly what is live.
CREATE OR REPLACE FUNCTION public.promptforge_runs_of(rule bigint, version bigint, live bigint) RETURNS SETOF public.evaluations_evaluationrun
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT r.* FROM public.evaluations_evaluationrule u
    JOIN public.evaluations_evaluationset s ON s.id = u.set_id
    JOIN public.evaluations_setrevision v ON v.set_id = s.id AND v.number = s.revision
    JOIN public.evaluations_evaluationrun r ON r.set_revision_id = v.id
    WHERE u.id = rule AND r.purpose = 'comparison'
      AND r.candidate_id = version AND r.baseline_id IS NOT DISTINCT FROM live
      AND r.connection_id = u.connection_id AND public.promptforge_same_model(r.settings, u.connection_id)
      -- A run has a judge when its set asks for one: the rule's, or without one the model itself.
      AND (r.judge_id IS NULL OR r.judge_id = coalesce(u.judge_id, u.connection_id)
        AND public.promptforge_same_model(r.judge_settings, r.judge_id))
      AND (r.plan::jsonb ->> 'margin')::double precision <= u.margin + 0.000001
      AND coalesce((r.plan::jsonb -> 'looks' ->> -1)::int >= u.repeats, u.repeats IS NULL);
$guard$;

-- Those that finished. Newest first.
CREATE OR REPLACE FUNCTION public.promptforge_evidence(rule bigint, version bigint, live bigint) RETURNS SETOF public.evaluations_evaluationrun
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT * FROM public.promptforge_runs_of(rule, version, live) WHERE status = 'done' ORDER BY id DESC;
$guard$;

-- What the evidence for a rule comes to: the newest outcome; a PASS after a FAIL of exactly the same settles nothing, for
-- who asks often enough is answered yes. Older than the policy lets evidence grow: EXPIRED. None: null.
CREATE OR REPLACE FUNCTION public.promptforge_rule_outcome(rule bigint, version bigint, live bigint, since timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT CASE WHEN newest.finished_at <= since THEN 'EXPIRED'
        WHEN newest.outcome = 'PASS' AND EXISTS (SELECT FROM public.promptforge_evidence(rule, version, live) WHERE outcome = 'FAIL') THEN 'INCONCLUSIVE'
        ELSE newest.outcome END
    FROM public.promptforge_evidence(rule, version, live) newest ORDER BY newest.id DESC LIMIT 1;
$guard$;

-- Whether one approval more than the policy asks for stands, and an approver says in writing why the evidence suffices.
CREATE OR REPLACE FUNCTION public.promptforge_vouched(promotion bigint, required int) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT count(*) > required AND bool_or('evaluation' = ANY (acknowledged) AND btrim(body) <> '')
    FROM public.promptforge_counting_reviews(promotion) WHERE decision = 'approve';
$guard$;

-- After release_insert, which has locked channel, head and promotion: triggers fire in the order of their names.
CREATE OR REPLACE FUNCTION public.promptforge_release_measured() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    policy public.prompts_channelpolicy;
    live bigint;
    lacking text;
BEGIN
    IF NEW.kind <> 'promote' THEN
        RETURN NEW;
    END IF;
    SELECT * INTO policy FROM public.prompts_channelpolicy WHERE channel_id = NEW.channel_id ORDER BY revision DESC LIMIT 1;
    SELECT version_id INTO live FROM public.prompts_head WHERE prompt_id = NEW.prompt_id AND channel_id = NEW.channel_id;
    -- [evaluation_has_rule]
    IF 'evaluation' = ANY (policy.required_checks) AND NOT EXISTS (SELECT FROM public.promptforge_rules(NEW.channel_id, NEW.prompt_id)) THEN
        PERFORM public.promptforge_refuse('evaluation_has_rule', 'The channel demands an evaluation, and no rule says by which set.');
    END IF;
    -- [end]
    -- [evaluation_passed]
    SELECT s.name || ': ' || coalesce(found.outcome, 'not evaluated') INTO lacking
    FROM public.promptforge_rules(NEW.channel_id, NEW.prompt_id) u
    JOIN public.evaluations_evaluationset s ON s.id = u.set_id
    CROSS JOIN LATERAL (SELECT public.promptforge_rule_outcome(u.id, NEW.version_id, live,
        public.promptforge_now() - make_interval(days => coalesce(policy.evidence_ttl_days, 7))) AS outcome) found
    WHERE coalesce(found.outcome, '') <> 'PASS'
      AND NOT (coalesce(found.outcome, '') = 'INCONCLUSIVE' AND NEW.promotion_id IS NOT NULL
        AND coalesce(public.promptforge_vouched(NEW.promotion_id, policy.required_approvals), false)) LIMIT 1;
    IF lacking IS NOT NULL THEN
        PERFORM public.promptforge_refuse('evaluation_passed', format('The evaluation has not passed on exactly this version against exactly what is live: %s.', lacking));
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_rule_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    project bigint;
BEGIN
    PERFORM public.promptforge_read_committed();
    SELECT project_id INTO STRICT project FROM public.prompts_channel WHERE id = NEW.channel_id FOR NO KEY UPDATE;
    -- [rule_of_project]
    IF NOT EXISTS (SELECT FROM public.evaluations_evaluationset s WHERE s.id = NEW.set_id AND s.project_id = project
            AND coalesce(s.prompt_id, NEW.prompt_id) IS NOT DISTINCT FROM coalesce(NEW.prompt_id, s.prompt_id))
        OR EXISTS (SELECT FROM public.evaluations_modelconnection WHERE id IN (NEW.connection_id, NEW.judge_id) AND project_id <> project)
        OR (NEW.prompt_id IS NOT NULL AND NOT EXISTS (SELECT FROM public.prompts_prompt WHERE id = NEW.prompt_id AND project_id = project)) THEN
        PERFORM public.promptforge_refuse('rule_of_project', 'A rule joins a channel, a prompt, a set for it and connections of one project.');
    END IF;
    -- [end]
    -- [rule_right]
    IF NEW.removed_at IS NOT NULL OR NEW.removal_asked_at IS NOT NULL OR NOT public.promptforge_configures(NEW.created_by_id, project) THEN
        PERFORM public.promptforge_refuse('rule_right', 'A rule is made by somebody who may change the channel.');
    END IF;
    -- [end]
    NEW.created_at := public.promptforge_now();
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_rule_update() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    channel public.prompts_channel;
    policy public.prompts_channelpolicy;
BEGIN
    PERFORM public.promptforge_read_committed();
    SELECT * INTO STRICT channel FROM public.prompts_channel WHERE id = OLD.channel_id FOR NO KEY UPDATE;
    SELECT * INTO policy FROM public.prompts_channelpolicy WHERE channel_id = channel.id ORDER BY revision DESC LIMIT 1;
    -- [rule_kept]
    IF OLD.removed_at IS NOT NULL
        OR (to_jsonb(NEW) - '{removal_asked_by_id,removal_asked_at,removed_by_id,removed_at}'::text[])
            IS DISTINCT FROM (to_jsonb(OLD) - '{removal_asked_by_id,removal_asked_at,removed_by_id,removed_at}'::text[]) THEN
        PERFORM public.promptforge_refuse('rule_kept', 'A rule is taken away, and not changed otherwise.');
    END IF;
    -- [end]
    -- [rule_removal_right]
    IF coalesce(NOT public.promptforge_configures(coalesce(NEW.removed_by_id, NEW.removal_asked_by_id), channel.project_id), true) THEN
        PERFORM public.promptforge_refuse('rule_removal_right', 'A rule is taken away by somebody who may change the channel.');
    END IF;
    -- [end]
    IF NEW.removed_by_id IS NULL THEN
        NEW.removal_asked_at := public.promptforge_now();
        NEW.removed_at := NULL;
        RETURN NEW;
    END IF;
    -- [rule_removed_by_two]
    IF public.promptforge_policy_protects(policy) AND (
        OLD.removal_asked_by_id IS NULL OR NEW.removal_asked_by_id IS DISTINCT FROM OLD.removal_asked_by_id
        OR public.promptforge_person(NEW.removed_by_id) = public.promptforge_person(OLD.removal_asked_by_id)
        OR NOT public.promptforge_holds(NEW.removed_by_id, 'configure', channel.project_id, NULL)) THEN
        PERFORM public.promptforge_refuse('rule_removed_by_two', 'A rule of a protected channel is taken away when a second person agrees.');
    END IF;
    -- [end]
    NEW.removed_at := public.promptforge_now();
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE TRIGGER release_measured BEFORE INSERT ON public.prompts_release
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_release_measured();
CREATE OR REPLACE TRIGGER rule_insert BEFORE INSERT ON public.evaluations_evaluationrule
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_rule_insert();
CREATE OR REPLACE TRIGGER rule_update BEFORE UPDATE ON public.evaluations_evaluationrule
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_rule_update();
CREATE OR REPLACE TRIGGER rule_kept BEFORE DELETE ON public.evaluations_evaluationrule
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER rule_not_truncated BEFORE TRUNCATE ON public.evaluations_evaluationrule
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
