-- What the database itself refuses, part 3: versions, channels, policies and the ledger.
-- What is found in texts stands in checks.sql, promotions and what a release demands in promotions.sql.
-- How to read the rules: see events/sql/guards.sql.

-- Who may -------------------------------------------------------------------------------------------------------------

-- Whether this person, as a member of the project and still active, holds a permission on the project or the prompt.
CREATE OR REPLACE FUNCTION public.promptforge_holds(person bigint, permission text, project bigint, prompt bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT EXISTS (
        SELECT FROM public.accounts_user u JOIN public.accounts_membership m ON m.user_id = u.id AND m.project_id = project
        WHERE u.id = person AND u.is_active AND u.kind = 'person'
    ) AND EXISTS (
        SELECT FROM public.auth_permission p JOIN public.django_content_type c ON c.id = p.content_type_id
        WHERE p.codename = permission AND (
            ((c.app_label, c.model) = ('accounts', 'project') AND (
                EXISTS (SELECT FROM public.accounts_projectgrouppermission g
                        JOIN public.accounts_user_groups ug ON ug.group_id = g.group_id AND ug.user_id = person
                        WHERE g.permission_id = p.id AND g.content_object_id = project)
                OR EXISTS (SELECT FROM public.accounts_projectuserpermission g
                           WHERE g.permission_id = p.id AND g.content_object_id = project AND g.user_id = person)))
            OR ((c.app_label, c.model) = ('prompts', 'prompt') AND (
                EXISTS (SELECT FROM public.prompts_promptgrouppermission g
                        JOIN public.accounts_user_groups ug ON ug.group_id = g.group_id AND ug.user_id = person
                        WHERE g.permission_id = p.id AND g.content_object_id = prompt)
                OR EXISTS (SELECT FROM public.prompts_promptuserpermission g
                           WHERE g.permission_id = p.id AND g.content_object_id = prompt AND g.user_id = person)))));
$guard$;

-- Whether a service account has a key of this project, neither revoked nor expired, with this scope.
CREATE OR REPLACE FUNCTION public.promptforge_key_opens(account bigint, scope text, project bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT EXISTS (
        SELECT FROM public.accounts_apikey k JOIN public.accounts_user u ON u.id = k.service_account_id
        WHERE u.id = account AND u.kind = 'service' AND u.is_active AND k.project_id = project AND scope = ANY (k.scopes)
          AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > public.promptforge_now()));
$guard$;

-- The person behind an actor: a service account acts for the person who is responsible for it.
CREATE OR REPLACE FUNCTION public.promptforge_person(actor bigint) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT coalesce(responsible_id, id) FROM public.accounts_user WHERE id = actor;
$guard$;

-- Prompts and versions ------------------------------------------------------------------------------------------------

-- A prompt and a channel that are made at the same time must see each other, or a head would be missing.
CREATE OR REPLACE FUNCTION public.promptforge_prompt_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [next_number_starts]
    IF NEW.next_number <> 1 THEN
        PERFORM public.promptforge_refuse('next_number_starts', 'The first version of a prompt is number 1.');
    END IF;
    -- [end]
    PERFORM pg_advisory_xact_lock_shared(20550, (NEW.project_id % 2147483647)::int);
    INSERT INTO public.prompts_head (prompt_id, channel_id, revision)
    SELECT NEW.id, c.id, 0 FROM public.prompts_channel c WHERE c.project_id = NEW.project_id;
    RETURN NULL;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_prompt_update() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [prompt_kept]
    IF (NEW.id, NEW.project_id, NEW.name, NEW.type, NEW.created_at)
        IS DISTINCT FROM (OLD.id, OLD.project_id, OLD.name, OLD.type, OLD.created_at) THEN
        PERFORM public.promptforge_refuse('prompt_kept', 'A prompt keeps its name, type and project: callers rely on them.');
    END IF;
    -- [end]
    -- [next_number_counts]
    IF NEW.next_number <> OLD.next_number AND NEW.next_number <>
        (SELECT coalesce(max(number), 0) + 1 FROM public.prompts_promptversion WHERE prompt_id = NEW.id) THEN
        PERFORM public.promptforge_refuse('next_number_counts', 'The next number is one more than the newest version''s.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_version_digest(type text, content text, variables text, config text) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT public.promptforge_digest('version.v1', type, content, variables, config);
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_version_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    prompt public.prompts_prompt;
    moment timestamptz := public.promptforge_now();
    is_brought boolean := NEW.created_at IS NOT NULL;
BEGIN
    PERFORM public.promptforge_read_committed();
    SELECT * INTO STRICT prompt FROM public.prompts_prompt WHERE id = NEW.prompt_id FOR NO KEY UPDATE;
    -- [version_number_next]
    IF NEW.number <> prompt.next_number THEN
        PERFORM public.promptforge_refuse('version_number_next', format('The next version of %s is %s, not %s.', prompt.name, prompt.next_number, NEW.number));
    END IF;
    -- [end]
    -- [version_type]
    IF NEW.type <> prompt.type THEN
        PERFORM public.promptforge_refuse('version_type', format('%s is a %s prompt, and stays one.', prompt.name, prompt.type));
    END IF;
    -- [end]
    -- [version_includes]
    IF EXISTS (SELECT FROM unnest(NEW.includes) i WHERE NOT EXISTS (
        SELECT FROM public.prompts_promptversion v JOIN public.prompts_prompt p ON p.id = v.prompt_id
        WHERE v.id = i AND p.project_id = prompt.project_id)) THEN
        PERFORM public.promptforge_refuse('version_includes', 'A version includes versions of its own project only.');
    END IF;
    -- [end]
    -- [version_canonical]
    -- Canonical JSON writes characters as themselves: escaped, nobody who looks for hidden text or secrets would find them.
    -- E'' means the same whatever the session has made of standard_conforming_strings.
    IF regexp_replace(CASE NEW.type WHEN 'chat' THEN NEW.content ELSE '' END || NEW.variables || NEW.config, E'\\\\\\\\', '', 'g')
        ~ E'\\\\(/|u(?!00[01]))' THEN
        PERFORM public.promptforge_refuse('version_canonical', 'A version''s JSON is canonical: a character that can be written as itself is not escaped.');
    END IF;
    -- [end]
    NEW.recorded_at := moment;
    IF NOT is_brought THEN
        NEW.created_at := moment;
    ELSE
        -- [version_dated_by_import]
        IF NEW.created_at > moment OR (SELECT importing FROM public.accounts_project WHERE id = prompt.project_id) IS NOT TRUE
            OR EXISTS (SELECT FROM public.prompts_promptversion v WHERE v.prompt_id = NEW.prompt_id AND v.created_at > NEW.created_at) THEN
            PERFORM public.promptforge_refuse('version_dated_by_import', 'Only imported history brings its own dates, in order and not in the future.');
        END IF;
        -- [end]
    END IF;
    -- Who brings history along answers for it, whomever it calls its author.
    NEW.contributor_id := public.promptforge_person(CASE WHEN is_brought THEN NEW.contributor_id ELSE NEW.author_id END);
    NEW.digest := public.promptforge_version_digest(NEW.type, NEW.content, NEW.variables, NEW.config);
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_version_counted() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    UPDATE public.prompts_prompt SET next_number = NEW.number + 1 WHERE id = NEW.prompt_id;
    RETURN NULL;
END;
$guard$;

-- Versions are frozen. Redaction, when it comes, is the one exception and belongs here.
CREATE OR REPLACE FUNCTION public.promptforge_version_frozen() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    PERFORM public.promptforge_refuse('version_frozen', 'A version is never changed or deleted. Save a new one.');
    RETURN NULL;
END;
$guard$;

-- Channels and policies -----------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION public.promptforge_channel_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    PERFORM pg_advisory_xact_lock(20550, (NEW.project_id % 2147483647)::int);
    INSERT INTO public.prompts_head (prompt_id, channel_id, revision)
    SELECT p.id, NEW.id, 0 FROM public.prompts_prompt p WHERE p.project_id = NEW.project_id;
    RETURN NULL;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_channel_update() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [channel_policy_newest]
    IF (NEW.id, NEW.project_id, NEW.name) IS DISTINCT FROM (OLD.id, OLD.project_id, OLD.name) OR NEW.policy_id IS DISTINCT FROM
        (SELECT id FROM public.prompts_channelpolicy WHERE channel_id = NEW.id ORDER BY revision DESC LIMIT 1) THEN
        PERFORM public.promptforge_refuse('channel_policy_newest', 'A channel keeps its name and points at its newest policy.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_policy_protects(policy public.prompts_channelpolicy) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT coalesce(policy.required_approvals > 0 OR cardinality(policy.required_checks) > 0, false);
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_policy_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    channel public.prompts_channel;
    old public.prompts_channelpolicy;
    change public.prompts_policychange;
BEGIN
    PERFORM public.promptforge_read_committed();
    SELECT * INTO STRICT channel FROM public.prompts_channel WHERE id = NEW.channel_id FOR NO KEY UPDATE;
    SELECT * INTO old FROM public.prompts_channelpolicy WHERE id = channel.policy_id;
    -- [policy_revision_next]
    IF NEW.revision <> coalesce(old.revision, 0) + 1 THEN
        PERFORM public.promptforge_refuse('policy_revision_next', 'A policy''s revision is one more than the one before.');
    END IF;
    -- [end]
    NEW.at := public.promptforge_now();
    IF public.promptforge_policy_protects(old) THEN
        SELECT * INTO change FROM public.prompts_policychange WHERE id = NEW.change_id;
        -- [policy_four_eyes]
        IF change.id IS NULL OR change.channel_id <> NEW.channel_id OR change.base_id <> old.id
            OR NEW.author_id <> change.author_id OR NEW.approved_by_id IS NULL
            OR public.promptforge_person(NEW.approved_by_id) = public.promptforge_person(change.author_id)
            OR NOT public.promptforge_holds(NEW.approved_by_id, 'configure', channel.project_id, NULL)
            OR (NEW.required_approvals, NEW.required_checks, NEW.review_groups, NEW.approval_ttl_days, NEW.evidence_ttl_days, NEW.rollout_plan, NEW.rollback_roles)
                IS DISTINCT FROM (change.required_approvals, change.required_checks, change.review_groups, change.approval_ttl_days, change.evidence_ttl_days, change.rollout_plan, change.rollback_roles) THEN
            PERFORM public.promptforge_refuse('policy_four_eyes', 'The policy of a protected channel changes when a second person approves exactly that change.');
        END IF;
        -- [end]
    END IF;
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_policy_pointed() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    UPDATE public.prompts_channel SET policy_id = NEW.id WHERE id = NEW.channel_id;
    RETURN NULL;
END;
$guard$;

-- Whether somebody may change channels: a person with the right, or a key with the scope for it.
CREATE OR REPLACE FUNCTION public.promptforge_configures(actor bigint, project bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT public.promptforge_holds(actor, 'configure', project, NULL) OR public.promptforge_key_opens(actor, 'manage', project);
$guard$;

-- The channel's row, which promotions hold shared: a freeze that was answered is not outlived by a release under way.
CREATE OR REPLACE FUNCTION public.promptforge_freeze_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    channel public.prompts_channel;
BEGIN
    PERFORM public.promptforge_read_committed();
    SELECT * INTO STRICT channel FROM public.prompts_channel WHERE id = NEW.channel_id FOR NO KEY UPDATE;
    -- [freeze_right]
    IF NEW.lifted_at IS NOT NULL OR NOT public.promptforge_configures(NEW.created_by_id, channel.project_id) THEN
        PERFORM public.promptforge_refuse('freeze_right', 'A channel is frozen by somebody who may change it.');
    END IF;
    -- [end]
    NEW.created_at := public.promptforge_now();
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_freeze_update() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [freeze_lifted_once]
    IF OLD.lifted_at IS NOT NULL OR NEW.lifted_at IS NULL OR NEW.lifted_by_id IS NULL
        OR (NEW.id, NEW.channel_id, NEW.starts_at, NEW.ends_at, NEW.reason, NEW.created_by_id, NEW.created_at)
            IS DISTINCT FROM (OLD.id, OLD.channel_id, OLD.starts_at, OLD.ends_at, OLD.reason, OLD.created_by_id, OLD.created_at) THEN
        PERFORM public.promptforge_refuse('freeze_lifted_once', 'A freeze window is lifted once, by somebody, and not changed otherwise.');
    END IF;
    -- [end]
    -- [freeze_lift_right]
    IF NOT coalesce(public.promptforge_configures(NEW.lifted_by_id, (SELECT project_id FROM public.prompts_channel WHERE id = OLD.channel_id)), false) THEN
        PERFORM public.promptforge_refuse('freeze_lift_right', 'A freeze window is lifted by somebody who may change the channel.');
    END IF;
    -- [end]
    NEW.lifted_at := public.promptforge_now();
    RETURN NEW;
END;
$guard$;

-- The ledger ----------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION public.promptforge_release_digest(r public.prompts_release) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT public.promptforge_digest('release.v1', encode(r.previous_digest, 'hex'), r.id::text, r.prompt_id::text,
        r.channel_id::text, r.revision::text, r.kind, r.version_id::text,
        (SELECT encode(digest, 'hex') FROM public.prompts_promptversion WHERE id = r.version_id), r.canary_version_id::text,
        r.canary_share::text, r.salt, r.promotion_id::text, r.actor_id::text, r.reason, public.promptforge_micros(r.at),
        public.promptforge_micros(r.recorded_at));
$guard$;

-- Readers of the last minute take this lock shared, so that an answer once given about an instant stays.
CREATE OR REPLACE FUNCTION public.promptforge_ledger_lock(head bigint, exclusive boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    IF exclusive THEN
        PERFORM pg_advisory_xact_lock(20551, (head % 2147483647)::int);
    ELSE
        PERFORM pg_advisory_xact_lock_shared(20551, (head % 2147483647)::int);
    END IF;
END;
$guard$;

-- Whether a version may not come back by a rollback: it was left by a rollback or an abort and no forward release
-- brought it back since, or only an unratified break-glass ever made it live. Reads back to the newest forward row only.
CREATE OR REPLACE FUNCTION public.promptforge_withdrawn(ledger_prompt bigint, ledger_channel bigint, target bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    WITH forward AS (
        SELECT r.revision FROM public.prompts_release r
        WHERE r.prompt_id = ledger_prompt AND r.channel_id = ledger_channel AND r.version_id = target
          AND (r.kind IN ('promote', 'import', 'canary_complete') OR (r.kind = 'break_glass'
            AND EXISTS (SELECT FROM public.prompts_ratification q WHERE q.release_id = r.id)))
        ORDER BY r.revision DESC LIMIT 1
    )
    -- One pass over the rows since then: a join of the ledger with itself is planned badly while a table has no statistics.
    SELECT NOT EXISTS (SELECT FROM forward) OR EXISTS (
        SELECT FROM (
            SELECT r.version_id, lead(r.kind) OVER (ORDER BY r.revision) AS left_by FROM public.prompts_release r
            WHERE r.prompt_id = ledger_prompt AND r.channel_id = ledger_channel AND r.revision >= (SELECT revision FROM forward)
        ) stood
        WHERE stood.version_id = target AND stood.left_by IN ('rollback', 'canary_abort'));
$guard$;

-- The version that a rollback without a target returns to: the one that was live before the newest forward row that
-- made the present one live, passing over versions that were withdrawn. Null when there is none.
CREATE OR REPLACE FUNCTION public.promptforge_rollback_target(ledger_prompt bigint, ledger_channel bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    live bigint;
    target bigint;
    before integer;
BEGIN
    SELECT version_id, revision + 1 INTO live, before FROM public.prompts_head WHERE prompt_id = ledger_prompt AND channel_id = ledger_channel;
    target := live;
    WHILE target IS NOT NULL LOOP
        SELECT max(revision) INTO before FROM public.prompts_release
        WHERE prompt_id = ledger_prompt AND channel_id = ledger_channel AND version_id = target AND revision < before
          AND kind IN ('promote', 'import', 'break_glass', 'canary_complete');
        SELECT version_id INTO target FROM public.prompts_release
        WHERE prompt_id = ledger_prompt AND channel_id = ledger_channel AND revision = before - 1;
        EXIT WHEN target IS NULL OR (target <> live AND NOT public.promptforge_withdrawn(ledger_prompt, ledger_channel, target));
    END LOOP;
    RETURN target;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_release_applied() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    UPDATE public.prompts_head SET revision = NEW.revision, release_id = NEW.id, version_id = NEW.version_id
    WHERE prompt_id = NEW.prompt_id AND channel_id = NEW.channel_id;
    IF NEW.kind <> 'import' THEN
        UPDATE public.accounts_project SET importing = false
        WHERE importing AND id = (SELECT project_id FROM public.prompts_prompt WHERE id = NEW.prompt_id);
    END IF;
    IF NEW.promotion_id IS NOT NULL THEN
        UPDATE public.prompts_promotion SET state = 'APPLIED', closed_by_id = NEW.actor_id, closed_at = NEW.recorded_at
        WHERE id = NEW.promotion_id;
    END IF;
    RETURN NULL;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_head_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [head_starts_empty]
    -- Both must exist already: their foreign keys are asked at commit only, and a channel made later may be another's.
    IF NEW.revision <> 0 OR NOT EXISTS (SELECT FROM public.prompts_prompt p JOIN public.prompts_channel c ON c.project_id = p.project_id
        WHERE p.id = NEW.prompt_id AND c.id = NEW.channel_id) THEN
        PERFORM public.promptforge_refuse('head_starts_empty', 'A head starts empty, between a prompt and a channel of one project.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_head_update() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [head_follows_ledger]
    IF (NEW.id, NEW.prompt_id, NEW.channel_id) IS DISTINCT FROM (OLD.id, OLD.prompt_id, OLD.channel_id) OR NEW.revision <> OLD.revision + 1
        OR NOT EXISTS (SELECT FROM public.prompts_release r WHERE r.id = NEW.release_id AND r.prompt_id = NEW.prompt_id
            AND r.channel_id = NEW.channel_id AND r.revision = NEW.revision AND r.version_id = NEW.version_id) THEN
        PERFORM public.promptforge_refuse('head_follows_ledger', 'A head moves only with a new row of its ledger.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

-- While committing ----------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION public.promptforge_publish_prompt() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    PERFORM public.promptforge_serve(NEW.project_id, 'prompt', NEW.id);
    RETURN NULL;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_publish_channel() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    PERFORM public.promptforge_serve(NEW.project_id, 'channel', NEW.id);
    RETURN NULL;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_publish_version() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    project bigint := (SELECT project_id FROM public.prompts_prompt WHERE id = NEW.prompt_id);
BEGIN
    PERFORM public.promptforge_serve(project, 'prompt', NEW.prompt_id);
    -- [version_told]
    IF NOT EXISTS (SELECT FROM public.events_event e WHERE e.project_id = project AND e.subject_kind = 'version'
        AND e.subject_id = NEW.id AND e.kind = 'version.saved') THEN
        PERFORM public.promptforge_refuse('version_told', 'A version is saved together with its event.');
    END IF;
    -- [end]
    -- [version_still_importing]
    IF NEW.created_at <> NEW.recorded_at AND (SELECT importing FROM public.accounts_project WHERE id = project) IS NOT TRUE THEN
        PERFORM public.promptforge_refuse('version_still_importing', 'The project took its first release of its own meanwhile and no longer takes imported history.');
    END IF;
    -- [end]
    RETURN NULL;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_publish_release() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    project bigint := (SELECT project_id FROM public.prompts_prompt WHERE id = NEW.prompt_id);
BEGIN
    PERFORM public.promptforge_serve(project, 'prompt', NEW.prompt_id);
    -- [release_told]
    IF NOT EXISTS (SELECT FROM public.events_event e WHERE e.project_id = project AND e.subject_kind = 'release'
        AND e.subject_id = NEW.id AND e.kind = 'release.made') THEN
        PERFORM public.promptforge_refuse('release_told', 'A release is made together with its event.');
    END IF;
    -- [end]
    -- [import_still_open]
    -- Asked again behind the serving row's lock: an import that was under way when the project closed would slip in after it.
    IF NEW.kind = 'import' AND (SELECT importing FROM public.accounts_project WHERE id = project) IS NOT TRUE THEN
        PERFORM public.promptforge_refuse('import_still_open', 'The project took its first release of its own meanwhile and no longer takes imported history.');
    END IF;
    -- [end]
    RETURN NULL;
END;
$guard$;

-- Triggers ------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE TRIGGER prompt_insert AFTER INSERT ON public.prompts_prompt
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_prompt_insert();
CREATE OR REPLACE TRIGGER prompt_update BEFORE UPDATE ON public.prompts_prompt
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_prompt_update();
CREATE OR REPLACE TRIGGER prompt_kept BEFORE DELETE ON public.prompts_prompt
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER prompt_not_truncated BEFORE TRUNCATE ON public.prompts_prompt
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER prompt_history_frozen BEFORE UPDATE OR DELETE ON public.prompts_historicalprompt
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER prompt_history_not_truncated BEFORE TRUNCATE ON public.prompts_historicalprompt
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER version_insert BEFORE INSERT ON public.prompts_promptversion
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_version_insert();
CREATE OR REPLACE TRIGGER version_counted AFTER INSERT ON public.prompts_promptversion
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_version_counted();
CREATE OR REPLACE TRIGGER version_frozen BEFORE UPDATE OR DELETE ON public.prompts_promptversion
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_version_frozen();
CREATE OR REPLACE TRIGGER version_not_truncated BEFORE TRUNCATE ON public.prompts_promptversion
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_version_frozen();
CREATE OR REPLACE TRIGGER channel_insert AFTER INSERT ON public.prompts_channel
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_channel_insert();
CREATE OR REPLACE TRIGGER channel_update BEFORE UPDATE ON public.prompts_channel
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_channel_update();
CREATE OR REPLACE TRIGGER channel_kept BEFORE DELETE ON public.prompts_channel
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER channel_not_truncated BEFORE TRUNCATE ON public.prompts_channel
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER policy_insert BEFORE INSERT ON public.prompts_channelpolicy
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_policy_insert();
CREATE OR REPLACE TRIGGER policy_pointed AFTER INSERT ON public.prompts_channelpolicy
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_policy_pointed();
CREATE OR REPLACE TRIGGER policy_frozen BEFORE UPDATE OR DELETE ON public.prompts_channelpolicy
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER policy_not_truncated BEFORE TRUNCATE ON public.prompts_channelpolicy
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER policy_change_frozen BEFORE UPDATE OR DELETE ON public.prompts_policychange
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER policy_change_not_truncated BEFORE TRUNCATE ON public.prompts_policychange
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER freeze_insert BEFORE INSERT ON public.prompts_freezewindow
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_freeze_insert();
CREATE OR REPLACE TRIGGER freeze_update BEFORE UPDATE ON public.prompts_freezewindow
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_freeze_update();
CREATE OR REPLACE TRIGGER freeze_kept BEFORE DELETE ON public.prompts_freezewindow
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER freeze_not_truncated BEFORE TRUNCATE ON public.prompts_freezewindow
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER release_applied AFTER INSERT ON public.prompts_release
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_release_applied();
CREATE OR REPLACE TRIGGER release_frozen BEFORE UPDATE OR DELETE ON public.prompts_release
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER release_not_truncated BEFORE TRUNCATE ON public.prompts_release
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER head_insert BEFORE INSERT ON public.prompts_head
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_head_insert();
CREATE OR REPLACE TRIGGER head_update BEFORE UPDATE ON public.prompts_head
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_head_update();
CREATE OR REPLACE TRIGGER head_kept BEFORE DELETE ON public.prompts_head
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER head_not_truncated BEFORE TRUNCATE ON public.prompts_head
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();

DROP TRIGGER IF EXISTS prompt_publish ON public.prompts_prompt;
CREATE CONSTRAINT TRIGGER prompt_publish AFTER INSERT OR UPDATE ON public.prompts_prompt DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_publish_prompt();
DROP TRIGGER IF EXISTS channel_publish ON public.prompts_channel;
CREATE CONSTRAINT TRIGGER channel_publish AFTER INSERT OR UPDATE ON public.prompts_channel DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_publish_channel();
DROP TRIGGER IF EXISTS version_publish ON public.prompts_promptversion;
CREATE CONSTRAINT TRIGGER version_publish AFTER INSERT ON public.prompts_promptversion DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_publish_version();
DROP TRIGGER IF EXISTS release_publish ON public.prompts_release;
CREATE CONSTRAINT TRIGGER release_publish AFTER INSERT ON public.prompts_release DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_publish_release();

-- Constraints that Django cannot say: added once, for adding them again would read the whole table.
DO $guard$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'version_digest_true') THEN
        ALTER TABLE public.prompts_promptversion ADD CONSTRAINT version_digest_true
            CHECK (digest = public.promptforge_version_digest(type, content, variables, config));
    END IF;
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'release_version_of_prompt') THEN
        ALTER TABLE public.prompts_release ADD CONSTRAINT release_version_of_prompt
            FOREIGN KEY (prompt_id, version_id) REFERENCES public.prompts_promptversion (prompt_id, id);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'head_is_logged') THEN
        ALTER TABLE public.prompts_head ADD CONSTRAINT head_is_logged
            FOREIGN KEY (release_id, prompt_id, channel_id, revision, version_id)
            REFERENCES public.prompts_release (id, prompt_id, channel_id, revision, version_id) DEFERRABLE INITIALLY DEFERRED;
    END IF;
END;
$guard$;
