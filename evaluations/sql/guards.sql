-- What the database itself refuses, part 6: evaluation sets, and the runs that are evidence for promotions.
-- How to read the rules: see events/sql/guards.sql. Lock order: set → revision → cases; run → cells.

-- What a revision of a set holds, as one digest: its criteria and, in their order, its cases.
CREATE OR REPLACE FUNCTION public.promptforge_set_digest(revision bigint) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT public.promptforge_digest('set.v1', r.set_id::text, r.number::text, r.criteria,
        (SELECT string_agg(encode(c.digest, 'hex'), ' ' ORDER BY c.position, c.id) FROM public.evaluations_case c
            WHERE c.set_id = r.set_id AND c.added_in <= r.number AND (c.removed_in IS NULL OR c.removed_in > r.number)))
    FROM public.evaluations_setrevision r WHERE r.id = revision;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_set_update() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [set_kept]
    IF (NEW.id, NEW.project_id, NEW.prompt_id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.project_id, OLD.prompt_id, OLD.created_at) THEN
        PERFORM public.promptforge_refuse('set_kept', 'A set stays with its project and its prompt.');
    END IF;
    -- [end]
    -- [set_revision_counts]
    IF NEW.revision <> (SELECT coalesce(max(number), 0) FROM public.evaluations_setrevision WHERE set_id = NEW.id) THEN
        PERFORM public.promptforge_refuse('set_revision_counts', 'A set points at its newest revision.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_set_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [set_of_project]
    IF NEW.revision <> 0 OR (NEW.prompt_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM public.prompts_prompt WHERE id = NEW.prompt_id AND project_id = NEW.project_id)) THEN
        PERFORM public.promptforge_refuse('set_of_project', 'A set starts empty, for a prompt of its own project.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_set_revision_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    owner public.evaluations_evaluationset;
BEGIN
    PERFORM public.promptforge_read_committed();
    SELECT * INTO STRICT owner FROM public.evaluations_evaluationset WHERE id = NEW.set_id FOR NO KEY UPDATE;
    -- [set_revision_next]
    IF NEW.number <> owner.revision + 1 THEN
        PERFORM public.promptforge_refuse('set_revision_next', 'Revisions are numbered without a gap.');
    END IF;
    -- [end]
    -- [set_revision_right]
    IF NOT public.promptforge_holds(NEW.author_id, 'edit', owner.project_id, owner.prompt_id)
        AND NOT public.promptforge_key_opens(NEW.author_id, 'evaluations:run', owner.project_id) THEN
        PERFORM public.promptforge_refuse('set_revision_right', 'A set is edited by who may edit its prompt.');
    END IF;
    -- [end]
    NEW.at := public.promptforge_now();
    NEW.transaction := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_set_revised() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    UPDATE public.evaluations_evaluationset SET revision = NEW.number WHERE id = NEW.set_id;
    RETURN NULL;
END;
$guard$;

-- Cases are written by the transaction that makes their revision, and by no other: a revision never changes after.
CREATE OR REPLACE FUNCTION public.promptforge_case_write() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    made bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- [case_kept]
        IF OLD.removed_in IS NOT NULL OR NEW.removed_in IS NULL
            OR (NEW.id, NEW.set_id, NEW.key, NEW.position, NEW.added_in, NEW.variables, NEW.messages, NEW.expected, NEW.tags,
                    NEW."group", NEW.critical, NEW.criteria, NEW.digest)
                IS DISTINCT FROM (OLD.id, OLD.set_id, OLD.key, OLD.position, OLD.added_in, OLD.variables, OLD.messages, OLD.expected,
                    OLD.tags, OLD."group", OLD.critical, OLD.criteria, OLD.digest) THEN
            PERFORM public.promptforge_refuse('case_kept', 'A case is taken out once, and not changed otherwise.');
        END IF;
        -- [end]
    ELSE
        NEW.removed_in := NULL;
        NEW.digest := public.promptforge_digest('case.v1', NEW.key, NEW.variables, NEW.messages, NEW.expected,
            array_to_string(NEW.tags, chr(31)), NEW."group", NEW.critical::text, NEW.criteria);
    END IF;
    SELECT transaction INTO made FROM public.evaluations_setrevision
        WHERE set_id = NEW.set_id AND number = coalesce(NEW.removed_in, NEW.added_in);
    -- [case_of_new_revision]
    IF made IS DISTINCT FROM pg_current_xact_id()::text::bigint THEN
        PERFORM public.promptforge_refuse('case_of_new_revision', 'Cases change together with the making of a new revision.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

-- --- Runs ------------------------------------------------------------------------------------------------------------
CREATE OR REPLACE FUNCTION public.promptforge_run_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    owner public.evaluations_evaluationset;
    prompt bigint;
BEGIN
    SELECT s.* INTO STRICT owner FROM public.evaluations_evaluationset s
        JOIN public.evaluations_setrevision r ON r.set_id = s.id WHERE r.id = NEW.set_revision_id;
    SELECT prompt_id INTO STRICT prompt FROM public.prompts_promptversion WHERE id = NEW.candidate_id;
    -- [run_of_project]
    IF owner.project_id <> NEW.project_id
        OR (owner.prompt_id IS NOT NULL AND owner.prompt_id <> prompt)
        OR NOT EXISTS (SELECT FROM public.prompts_prompt WHERE id = prompt AND project_id = NEW.project_id)
        OR (NEW.baseline_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM public.prompts_promptversion WHERE id = NEW.baseline_id AND prompt_id = prompt))
        OR (NEW.channel_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM public.prompts_channel WHERE id = NEW.channel_id AND project_id = NEW.project_id))
        OR EXISTS (SELECT FROM public.evaluations_modelconnection
            WHERE id IN (NEW.connection_id, NEW.judge_id) AND project_id <> NEW.project_id) THEN
        PERFORM public.promptforge_refuse('run_of_project', 'A run compares versions of one prompt, by a set and connections of its project.');
    END IF;
    -- [end]
    -- [run_starts_empty]
    IF NEW.status <> 'queued' OR NEW.calls <> 0 OR NEW.cost_usd <> 0 OR NEW.unpriced_calls <> 0 OR NEW.look <> 0
        OR NEW.started_at IS NOT NULL OR NEW.finished_at IS NOT NULL OR NEW.digest IS NOT NULL THEN
        PERFORM public.promptforge_refuse('run_starts_empty', 'A run starts in the queue, without calls and verdict.');
    END IF;
    -- [end]
    NEW.created_at := public.promptforge_now();
    NEW.set_digest := public.promptforge_set_digest(NEW.set_revision_id);
    RETURN NEW;
END;
$guard$;

-- What the cells of a run say: how many of each arm, and the mean over cases of candidate less baseline. The repeats
-- that confirm a suspicion count for that alone.
CREATE OR REPLACE FUNCTION public.promptforge_run_figures(
    run bigint, OUT cases bigint, OUT fewest bigint, OUT unscored double precision, OUT open bigint,
    OUT delta double precision, OUT rate double precision
) RETURNS record
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    WITH counted AS (
        SELECT case_id, arm, count(*) AS planned, count(*) FILTER (WHERE state = 'done') AS done,
            count(*) FILTER (WHERE state = 'unscored') AS unscored, avg(score) AS mean, avg(passed::int) AS rate
        FROM public.evaluations_cell WHERE run_id = run AND NOT confirms GROUP BY case_id, arm
    ), arms AS (
        SELECT arm, sum(unscored)::double precision / sum(planned) AS share FROM counted GROUP BY arm
    ), paired AS (
        SELECT c.case_id, c.mean - b.mean AS delta, c.rate FROM counted c
        LEFT JOIN counted b ON b.case_id = c.case_id AND b.arm = 'baseline' WHERE c.arm = 'candidate'
    )
    SELECT (SELECT count(DISTINCT case_id) FROM counted), (SELECT min(planned) FROM counted), (SELECT max(share) FROM arms),
        (SELECT count(*) FROM public.evaluations_cell WHERE run_id = run AND state IN ('pending', 'calling', 'answered')),
        (SELECT avg(delta) FROM paired)::double precision, (SELECT avg(paired.rate) FROM paired)::double precision;
$guard$;

-- The candidate's mean score over cases: what a comparison without a baseline is decided by.
CREATE OR REPLACE FUNCTION public.promptforge_run_score(run bigint) RETURNS double precision
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT avg(of_case.mean) FROM (
        SELECT avg(score) AS mean FROM public.evaluations_cell WHERE run_id = run AND arm = 'candidate' AND NOT confirms GROUP BY case_id
    ) of_case;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_run_update() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    found record;
    standing bigint;
    plan jsonb := NEW.plan::jsonb;
BEGIN
    -- [run_kept]
    IF OLD.status IN ('done', 'cancelled')
            AND (to_jsonb(NEW) - '{calls,cost_usd,unpriced_calls}'::text[]) IS DISTINCT FROM (to_jsonb(OLD) - '{calls,cost_usd,unpriced_calls}'::text[])
        OR (NEW.id, NEW.project_id, NEW.purpose, NEW.candidate_id, NEW.baseline_id, NEW.channel_id, NEW.set_revision_id, NEW.set_digest,
                NEW.connection_id, NEW.settings, NEW.judge_id, NEW.judge_settings, NEW.plan, NEW.seed, NEW.created_by_id, NEW.created_at)
            IS DISTINCT FROM (OLD.id, OLD.project_id, OLD.purpose, OLD.candidate_id, OLD.baseline_id, OLD.channel_id, OLD.set_revision_id,
                OLD.set_digest, OLD.connection_id, OLD.settings, OLD.judge_id, OLD.judge_settings, OLD.plan, OLD.seed, OLD.created_by_id,
                OLD.created_at) THEN
        PERFORM public.promptforge_refuse('run_kept', 'What a run compares stays as it began, and a run that ended stays ended.');
    END IF;
    -- [end]
    -- [run_calls_count]
    IF NEW.calls < OLD.calls OR NEW.look < OLD.look THEN
        PERFORM public.promptforge_refuse('run_calls_count', 'The calls of a run are counted, and its looks are not taken back.');
    END IF;
    -- [end]
    IF NEW.status <> 'done' OR OLD.status = 'done' THEN
        RETURN NEW;
    END IF;
    NEW.finished_at := public.promptforge_now();
    SELECT * INTO found FROM public.promptforge_run_figures(NEW.id);
    -- [run_ends_whole]
    IF found.open > 0 THEN
        PERFORM public.promptforge_refuse('run_ends_whole', 'A run ends when none of its cells is open.');
    END IF;
    -- [end]
    SELECT count(*) INTO standing FROM public.evaluations_case c JOIN public.evaluations_setrevision r ON r.set_id = c.set_id
        WHERE r.id = NEW.set_revision_id AND c.added_in <= r.number AND (c.removed_in IS NULL OR c.removed_in > r.number);
    -- [run_passes_by_its_cells]
    IF NEW.outcome = 'PASS' AND (
        found.cases IS DISTINCT FROM standing OR found.cases = 0
        OR (SELECT count(DISTINCT arm) FROM public.evaluations_cell WHERE run_id = NEW.id AND NOT confirms) <> CASE WHEN NEW.baseline_id IS NULL THEN 1 ELSE 2 END
        OR found.fewest < (plan -> 'looks' ->> 0)::int
        OR found.unscored > least((plan ->> 'unscored_limit')::double precision, 0.02)
        OR coalesce(found.delta <= -(plan ->> 'margin')::double precision, NEW.baseline_id IS NOT NULL)
        -- Held against no baseline, a comparison passes by its score as evaluations/statistics does, and the watch's runs by their rate.
        OR (NEW.baseline_id IS NULL AND coalesce(CASE NEW.purpose
            WHEN 'comparison' THEN public.promptforge_run_score(NEW.id) <= (plan ->> 'pass_rate')::double precision - (plan ->> 'margin')::double precision
            ELSE found.rate < (plan ->> 'pass_rate')::double precision END, true))
    ) THEN
        PERFORM public.promptforge_refuse('run_passes_by_its_cells', 'A run passes when every case was answered on both sides as often as planned, and no worse than its margin.');
    END IF;
    -- [end]
    -- [run_tells_its_cells]
    IF NEW.outcome IN ('PASS', 'FAIL', 'INCONCLUSIVE') AND abs((NEW.verdict::jsonb ->> 'delta')::double precision - found.delta) > 0.000001 THEN
        PERFORM public.promptforge_refuse('run_tells_its_cells', 'The verdict tells the difference that the cells have.');
    END IF;
    -- [end]
    NEW.digest := public.promptforge_digest('run.v1', NEW.id::text, NEW.outcome, NEW.verdict, encode(NEW.set_digest, 'hex'),
        (SELECT string_agg(encode(public.promptforge_digest(c.case_id::text, c.arm, c.repeat::text, c.state, c.output, c.scores, c.measures), 'hex'), ' ' ORDER BY c.id)
            FROM public.evaluations_cell c WHERE c.run_id = NEW.id));
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_cell_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    run public.evaluations_evaluationrun;
BEGIN
    SELECT * INTO STRICT run FROM public.evaluations_evaluationrun WHERE id = NEW.run_id FOR SHARE;
    -- [cell_of_run]
    IF run.status IN ('done', 'cancelled') OR (NEW.arm = 'baseline' AND run.baseline_id IS NULL)
        OR NOT EXISTS (SELECT FROM public.evaluations_case c JOIN public.evaluations_setrevision r ON r.set_id = c.set_id
            WHERE c.id = NEW.case_id AND r.id = run.set_revision_id AND c.added_in <= r.number
                AND (c.removed_in IS NULL OR c.removed_in > r.number)) THEN
        PERFORM public.promptforge_refuse('cell_of_run', 'A cell is a case of the revision, on a side that its open run has.');
    END IF;
    -- [end]
    -- [cell_starts_empty]
    IF NEW.state <> 'pending' OR NEW.fence <> 0 OR NEW.tries <> 0 OR NEW.output IS NOT NULL THEN
        PERFORM public.promptforge_refuse('cell_starts_empty', 'A cell begins without an answer.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_cell_update() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [cell_kept]
    IF OLD.state IN ('done', 'unscored')
        OR (NEW.id, NEW.run_id, NEW.case_id, NEW.arm, NEW.repeat, NEW.confirms, NEW.position)
            IS DISTINCT FROM (OLD.id, OLD.run_id, OLD.case_id, OLD.arm, OLD.repeat, OLD.confirms, OLD.position)
        OR (OLD.output IS NOT NULL AND NEW.output IS DISTINCT FROM OLD.output) THEN
        PERFORM public.promptforge_refuse('cell_kept', 'What a cell asked and was answered is never changed.');
    END IF;
    -- [end]
    -- [cell_in_order]
    IF NOT (NEW.state = OLD.state OR (OLD.state, NEW.state) IN (('pending', 'calling'), ('pending', 'unscored'), ('calling', 'pending'),
            ('calling', 'answered'), ('calling', 'done'), ('calling', 'unscored'), ('answered', 'done'), ('answered', 'unscored')))
        OR NEW.tries < OLD.tries OR NEW.fence NOT IN (OLD.fence, OLD.fence + 1)
        OR (NEW.state = 'calling' AND NEW.fence = OLD.fence AND OLD.state <> 'calling') THEN
        PERFORM public.promptforge_refuse('cell_in_order', 'A cell is taken with a new fence, answered, and then scored or given up.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

-- --- What evaluations cost -------------------------------------------------------------------------------------------
-- A call is counted before it is made, so whatever happens to its caller it was counted. Only that is held against the
-- budget: what a call that was made turned out to cost is the truth, whatever the budget says.
CREATE OR REPLACE FUNCTION public.promptforge_spending_write() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    budget public.evaluations_budget;
    before integer := CASE WHEN TG_OP = 'UPDATE' THEN OLD.calls ELSE 0 END;
BEGIN
    -- [spending_counts]
    IF NEW.calls < before OR NEW.usd < 0
        OR (TG_OP = 'UPDATE' AND (NEW.id, NEW.project_id, NEW.day) IS DISTINCT FROM (OLD.id, OLD.project_id, OLD.day)) THEN
        PERFORM public.promptforge_refuse('spending_counts', 'The calls of a day are counted, and not taken back.');
    END IF;
    -- [end]
    SELECT * INTO budget FROM public.evaluations_budget WHERE project_id = NEW.project_id;
    -- [spending_within_budget]
    IF NEW.calls > before AND (NEW.calls > budget.calls_per_day OR NEW.usd > budget.usd_per_day) THEN
        PERFORM public.promptforge_refuse('spending_within_budget', 'The budget of this day is used up.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE TRIGGER spending_write BEFORE INSERT OR UPDATE ON public.evaluations_dayspending
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_spending_write();
CREATE OR REPLACE TRIGGER spending_kept BEFORE DELETE ON public.evaluations_dayspending
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER spending_not_truncated BEFORE TRUNCATE ON public.evaluations_dayspending
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER set_insert BEFORE INSERT ON public.evaluations_evaluationset
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_set_insert();
CREATE OR REPLACE TRIGGER set_update BEFORE UPDATE ON public.evaluations_evaluationset
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_set_update();
CREATE OR REPLACE TRIGGER set_kept BEFORE DELETE ON public.evaluations_evaluationset
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER set_not_truncated BEFORE TRUNCATE ON public.evaluations_evaluationset
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER set_history_frozen BEFORE UPDATE OR DELETE ON public.evaluations_historicalevaluationset
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER set_history_not_truncated BEFORE TRUNCATE ON public.evaluations_historicalevaluationset
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER set_revision_insert BEFORE INSERT ON public.evaluations_setrevision
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_set_revision_insert();
CREATE OR REPLACE TRIGGER set_revised AFTER INSERT ON public.evaluations_setrevision
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_set_revised();
CREATE OR REPLACE TRIGGER set_revision_frozen BEFORE UPDATE OR DELETE ON public.evaluations_setrevision
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER set_revision_not_truncated BEFORE TRUNCATE ON public.evaluations_setrevision
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER case_write BEFORE INSERT OR UPDATE ON public.evaluations_case
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_case_write();
CREATE OR REPLACE TRIGGER case_kept BEFORE DELETE ON public.evaluations_case
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER case_not_truncated BEFORE TRUNCATE ON public.evaluations_case
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER run_insert BEFORE INSERT ON public.evaluations_evaluationrun
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_run_insert();
CREATE OR REPLACE TRIGGER run_update BEFORE UPDATE ON public.evaluations_evaluationrun
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_run_update();
CREATE OR REPLACE TRIGGER run_kept BEFORE DELETE ON public.evaluations_evaluationrun
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER run_not_truncated BEFORE TRUNCATE ON public.evaluations_evaluationrun
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER cell_insert BEFORE INSERT ON public.evaluations_cell
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_cell_insert();
CREATE OR REPLACE TRIGGER cell_update BEFORE UPDATE ON public.evaluations_cell
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_cell_update();
CREATE OR REPLACE TRIGGER cell_kept BEFORE DELETE ON public.evaluations_cell
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER cell_not_truncated BEFORE TRUNCATE ON public.evaluations_cell
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER connection_history_frozen BEFORE UPDATE OR DELETE ON public.evaluations_historicalmodelconnection
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER connection_history_not_truncated BEFORE TRUNCATE ON public.evaluations_historicalmodelconnection
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER budget_history_frozen BEFORE UPDATE OR DELETE ON public.evaluations_historicalbudget
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER budget_history_not_truncated BEFORE TRUNCATE ON public.evaluations_historicalbudget
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER label_frozen BEFORE UPDATE OR DELETE ON public.evaluations_label
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER label_not_truncated BEFORE TRUNCATE ON public.evaluations_label
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
