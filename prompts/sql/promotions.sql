-- What the database itself refuses, part 5: promotions, reviews and checks, and what each kind of release demands.
-- How to read the rules: see events/sql/guards.sql. Lock order: prompt → channel (share) → head → promotion → rows.

-- Who wrote what a promotion would bring: they never approve it.
CREATE OR REPLACE FUNCTION public.promptforge_contributors(promotion bigint) RETURNS SETOF bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    WITH RECURSIVE wanted AS (
        SELECT p.*, c.number AS last, coalesce(b.number, 0) AS base, c.includes, coalesce(b.includes, '{}') AS had
        FROM public.prompts_promotion p JOIN public.prompts_promptversion c ON c.id = p.version_id
        LEFT JOIN public.prompts_promptversion b ON b.id = p.base_version_id WHERE p.id = promotion
    ), written AS (
        SELECT v.id FROM public.prompts_promptversion v, wanted w
        WHERE v.prompt_id = w.prompt_id AND (v.id = w.version_id OR (v.number > w.base AND v.number <= w.last))
    ), pinned AS (
        SELECT i AS id FROM wanted w, unnest(w.includes) i WHERE i <> ALL (w.had)
        UNION
        SELECT i FROM pinned JOIN public.prompts_promptversion v ON v.id = pinned.id, unnest(v.includes) i
    ), live AS (
        SELECT i AS id FROM wanted w, unnest(w.had) i
        UNION
        SELECT i FROM live JOIN public.prompts_promptversion v ON v.id = live.id, unnest(v.includes) i
    ), passed AS (
        -- An include moves on as a prompt does, with all that was written since the version of it that is live.
        SELECT v.id FROM pinned JOIN public.prompts_promptversion n ON n.id = pinned.id
        JOIN public.prompts_promptversion v ON v.prompt_id = n.prompt_id AND v.number < n.number
        WHERE v.number > (SELECT max(o.number) FROM live JOIN public.prompts_promptversion o ON o.id = live.id
            WHERE o.prompt_id = n.prompt_id AND o.number <= n.number)
    ), opened AS (
        -- Its own row, and those that it renewed: their words and their request live on in it.
        SELECT id, opened_by_id, opener_id FROM wanted
        UNION
        SELECT p.id, p.opened_by_id, p.opener_id FROM public.prompts_promotion p JOIN opened ON p.successor_id = opened.id
    )
    SELECT person FROM public.prompts_promptversion v,
        LATERAL (VALUES (v.author_id), (v.contributor_id)) AS who(person)
        WHERE v.id IN (SELECT id FROM written UNION SELECT id FROM pinned UNION SELECT id FROM passed)
    UNION SELECT opened_by_id FROM opened UNION SELECT opener_id FROM opened;
$guard$;

-- The reviews of a promotion that count now: of each reviewer the newest that is no comment and not dismissed, if cast
-- on this diff, by somebody who may still review; and, for an approval, if they did not contribute, within its lifetime,
-- and only their very last word: what they replaced stays replaced, whoever dismisses what replaced it.
CREATE OR REPLACE FUNCTION public.promptforge_counting_reviews(promotion bigint) RETURNS SETOF public.prompts_review
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT (newest.review).* FROM (
        SELECT DISTINCT ON (r.reviewer_id) r AS review, p.prompt_id, p.diff_digest, t.project_id, y.approval_ttl_days
        FROM public.prompts_review r
        JOIN public.prompts_promotion p ON p.id = r.promotion_id
        JOIN public.prompts_prompt t ON t.id = p.prompt_id
        JOIN public.prompts_channelpolicy y ON y.id = p.policy_id
        WHERE r.promotion_id = promotion AND r.decision <> 'comment'
          AND NOT EXISTS (SELECT FROM public.prompts_reviewdismissal d WHERE d.review_id = r.id)
        ORDER BY r.reviewer_id, r.id DESC
    ) newest
    WHERE (newest.review).diff_digest = newest.diff_digest
      AND public.promptforge_holds((newest.review).reviewer_id, 'review', newest.project_id, newest.prompt_id)
      AND ((newest.review).decision = 'request_changes' OR (
          (newest.review).at > public.promptforge_now() - make_interval(days => newest.approval_ttl_days)
          AND NOT EXISTS (SELECT FROM public.prompts_review later WHERE later.promotion_id = promotion AND later.decision <> 'comment'
              AND later.reviewer_id = (newest.review).reviewer_id AND later.id > (newest.review).id)
          AND (newest.review).reviewer_id NOT IN (SELECT public.promptforge_contributors(promotion))));
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_promotion_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    channel public.prompts_channel;
    head public.prompts_head;
BEGIN
    PERFORM public.promptforge_read_committed();
    SELECT * INTO STRICT channel FROM public.prompts_channel WHERE id = NEW.channel_id FOR SHARE;
    SELECT * INTO STRICT head FROM public.prompts_head WHERE prompt_id = NEW.prompt_id AND channel_id = NEW.channel_id FOR NO KEY UPDATE;
    -- [promotion_on_the_present]
    IF NEW.state <> 'OPEN' OR NEW.base_version_id IS DISTINCT FROM head.version_id OR NEW.base_revision <> head.revision
        OR NEW.policy_id IS DISTINCT FROM channel.policy_id
        OR NOT EXISTS (SELECT FROM public.prompts_promptversion WHERE id = NEW.version_id AND prompt_id = NEW.prompt_id) THEN
        PERFORM public.promptforge_refuse('promotion_on_the_present', 'A promotion is opened on the version and policy that stand now, for a version of the same prompt.');
    END IF;
    -- [end]
    NEW.opened_at := public.promptforge_now();
    NEW.opener_id := public.promptforge_person(NEW.opened_by_id);
    NEW.diff_digest := public.promptforge_digest('diff.v1',
        (SELECT encode(digest, 'hex') FROM public.prompts_promptversion WHERE id = NEW.base_version_id),
        (SELECT encode(digest, 'hex') FROM public.prompts_promptversion WHERE id = NEW.version_id));
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_promotion_update() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [promotion_closes_once]
    IF OLD.state <> 'OPEN' OR NEW.state = 'OPEN'
        OR (NEW.id, NEW.prompt_id, NEW.channel_id, NEW.version_id, NEW.base_version_id, NEW.base_revision, NEW.policy_id,
                NEW.diff_digest, NEW.title, NEW.note, NEW.opened_by_id, NEW.opener_id, NEW.opened_at)
            IS DISTINCT FROM (OLD.id, OLD.prompt_id, OLD.channel_id, OLD.version_id, OLD.base_version_id, OLD.base_revision,
                OLD.policy_id, OLD.diff_digest, OLD.title, OLD.note, OLD.opened_by_id, OLD.opener_id, OLD.opened_at)
        OR (NEW.state = 'SUPERSEDED') <> (NEW.successor_id IS NOT NULL) THEN
        PERFORM public.promptforge_refuse('promotion_closes_once', 'A promotion is closed once and not changed otherwise.');
    END IF;
    -- [end]
    -- [promotion_applied_by_release]
    IF NEW.state = 'APPLIED' AND NOT EXISTS (SELECT FROM public.prompts_release WHERE promotion_id = NEW.id) THEN
        PERFORM public.promptforge_refuse('promotion_applied_by_release', 'A promotion is applied by its release.');
    END IF;
    -- [end]
    NEW.closed_at := public.promptforge_now();
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_review_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    promotion public.prompts_promotion;
    project bigint;
BEGIN
    PERFORM public.promptforge_read_committed();
    SELECT * INTO STRICT promotion FROM public.prompts_promotion WHERE id = NEW.promotion_id FOR NO KEY UPDATE;
    SELECT project_id INTO STRICT project FROM public.prompts_prompt WHERE id = promotion.prompt_id;
    NEW.at := public.promptforge_now();
    -- [promotion_closed]
    IF promotion.state <> 'OPEN' THEN
        PERFORM public.promptforge_refuse('promotion_closed', 'The promotion is closed.');
    END IF;
    -- [end]
    -- [review_right]
    IF NOT public.promptforge_holds(NEW.reviewer_id, CASE NEW.decision WHEN 'comment' THEN 'read' ELSE 'review' END, project, promotion.prompt_id) THEN
        PERFORM public.promptforge_refuse('review_right', 'Only people with the right to review decide; keys and service accounts never do.');
    END IF;
    -- [end]
    -- [review_diff]
    IF NEW.diff_digest <> promotion.diff_digest THEN
        PERFORM public.promptforge_refuse('stale_diff', 'The diff that was seen is not the promotion''s.');
    END IF;
    -- [end]
    -- [four_eyes]
    IF NEW.decision = 'approve' AND NEW.reviewer_id IN (SELECT public.promptforge_contributors(promotion.id)) THEN
        PERFORM public.promptforge_refuse('four_eyes', 'Whoever wrote or opened it cannot approve it.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_dismissal_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    promotion public.prompts_promotion;
BEGIN
    PERFORM public.promptforge_read_committed();
    SELECT p.* INTO STRICT promotion FROM public.prompts_promotion p JOIN public.prompts_review r ON r.promotion_id = p.id
    WHERE r.id = NEW.review_id FOR NO KEY UPDATE OF p;
    NEW.at := public.promptforge_now();
    -- [dismissal_right]
    IF promotion.state <> 'OPEN' OR btrim(NEW.reason) = '' OR NOT public.promptforge_holds(NEW.dismissed_by_id, 'release',
        (SELECT project_id FROM public.prompts_prompt WHERE id = promotion.prompt_id), promotion.prompt_id) THEN
        PERFORM public.promptforge_refuse('dismissal_right', 'A review of an open promotion is dismissed by somebody who may release, with a reason.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_check_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    promotion public.prompts_promotion;
BEGIN
    PERFORM public.promptforge_read_committed();
    SELECT * INTO STRICT promotion FROM public.prompts_promotion WHERE id = NEW.promotion_id FOR NO KEY UPDATE;
    NEW.at := public.promptforge_now();
    -- [check_of_this_promotion]
    IF promotion.state <> 'OPEN' OR (NEW.version_id, NEW.base_version_id, NEW.policy_id)
        IS DISTINCT FROM (promotion.version_id, promotion.base_version_id, promotion.policy_id) THEN
        PERFORM public.promptforge_refuse('check_of_this_promotion', 'A check speaks of exactly the version, base and policy of its open promotion.');
    END IF;
    -- [end]
    -- [check_has_owner]
    -- Review, evaluation, up-to-date and freeze are computed and never stored; canary has no owner yet.
    IF NEW.name NOT IN ('variables', 'hidden-text', 'secrets') THEN
        PERFORM public.promptforge_refuse('check_has_owner', format('Nothing that is installed answers the check %s.', NEW.name));
    END IF;
    -- [end]
    -- [check_hidden_text]
    IF NEW.name = 'hidden-text' AND NEW.conclusion = 'passed' AND public.promptforge_hides_text(NEW.version_id) THEN
        PERFORM public.promptforge_refuse('check_hidden_text', 'The text holds characters that a reader does not see as they are stored.');
    END IF;
    -- [end]
    -- [check_secrets]
    IF NEW.name = 'secrets' AND NEW.conclusion = 'passed' AND public.promptforge_shows_secret(NEW.version_id) THEN
        PERFORM public.promptforge_refuse('check_secrets', 'The text holds what has the published form of a key.');
    END IF;
    -- [end]
    -- [check_variables]
    IF NEW.name = 'variables' AND NEW.conclusion = 'passed' AND public.promptforge_breaks_callers(NEW.base_version_id, NEW.version_id) THEN
        PERFORM public.promptforge_refuse('check_variables', 'Callers of the live version would have to change what they send.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_schedule_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    NEW.at := public.promptforge_now();
    -- [schedule_of_open]
    IF NEW.apply_at IS NOT NULL AND (SELECT state FROM public.prompts_promotion WHERE id = NEW.promotion_id FOR NO KEY UPDATE) IS DISTINCT FROM 'OPEN' THEN
        PERFORM public.promptforge_refuse('schedule_of_open', 'Only an open promotion is scheduled.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_ratification_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    release public.prompts_release;
BEGIN
    PERFORM public.promptforge_read_committed();
    SELECT * INTO STRICT release FROM public.prompts_release WHERE id = NEW.release_id;
    NEW.at := public.promptforge_now();
    -- [ratified_by_another]
    IF release.kind <> 'break_glass' OR NEW.ratified_by_id = release.actor_id OR NOT public.promptforge_holds(NEW.ratified_by_id, 'release',
        (SELECT project_id FROM public.prompts_prompt WHERE id = release.prompt_id), release.prompt_id) THEN
        PERFORM public.promptforge_refuse('ratified_by_another', 'A break-glass release is ratified by another person who may release.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

-- What a promotion lacks before its release may be inserted. Raises the first thing that is missing.
CREATE OR REPLACE FUNCTION public.promptforge_promotion_ready(promotion public.prompts_promotion, policy public.prompts_channelpolicy, head public.prompts_head) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    moment timestamptz := public.promptforge_now();
    missing text;
BEGIN
    -- [promotion_open]
    IF promotion.state <> 'OPEN' OR promotion.opened_at < moment - make_interval(days => policy.approval_ttl_days) THEN
        PERFORM public.promptforge_refuse('promotion_open', 'The promotion is closed or has expired.');
    END IF;
    -- [end]
    -- [promotion_base]
    IF promotion.base_version_id IS DISTINCT FROM head.version_id THEN
        PERFORM public.promptforge_refuse('promotion_base', 'The live version is no longer the one that was compared and approved against.');
    END IF;
    -- [end]
    -- [promotion_policy]
    IF promotion.policy_id IS DISTINCT FROM policy.id THEN
        PERFORM public.promptforge_refuse('promotion_policy', 'The channel''s policy has changed since the promotion was opened.');
    END IF;
    -- [end]
    -- [promotion_objection]
    IF EXISTS (SELECT FROM public.promptforge_counting_reviews(promotion.id) WHERE decision = 'request_changes') THEN
        PERFORM public.promptforge_refuse('promotion_objection', 'A reviewer asked for changes.');
    END IF;
    -- [end]
    -- [promotion_approvals]
    IF (SELECT count(*) FROM public.promptforge_counting_reviews(promotion.id) WHERE decision = 'approve') < policy.required_approvals THEN
        PERFORM public.promptforge_refuse('promotion_approvals', 'Approvals are missing.');
    END IF;
    -- [end]
    -- [promotion_groups]
    IF EXISTS (SELECT FROM jsonb_array_elements(policy.review_groups) wanted WHERE NOT EXISTS (
        SELECT FROM public.promptforge_counting_reviews(promotion.id) r
        JOIN public.prompts_channel c ON c.id = promotion.channel_id
        JOIN public.accounts_membership m ON m.user_id = r.reviewer_id AND m.project_id = c.project_id
        WHERE r.decision = 'approve' AND (wanted ? ('user:' || r.reviewer_id)
            OR EXISTS (SELECT FROM unnest(m.roles) role WHERE wanted ? ('role:' || role))))) THEN
        PERFORM public.promptforge_refuse('promotion_groups', 'An approval from one of the review groups is missing.');
    END IF;
    -- [end]
    -- [promotion_checks]
    SELECT name INTO missing FROM unnest(policy.required_checks) name
    WHERE name NOT IN ('up-to-date', 'evaluation') AND NOT EXISTS (
        SELECT FROM (SELECT c.* FROM public.prompts_check c WHERE c.promotion_id = promotion.id AND c.name = name.name ORDER BY c.id DESC LIMIT 1) newest
        WHERE newest.at > moment - make_interval(days => policy.evidence_ttl_days)
          AND (newest.conclusion = 'passed' OR (newest.name = 'hidden-text' AND policy.required_approvals > 0
            AND NOT EXISTS (SELECT FROM public.promptforge_counting_reviews(promotion.id) r
                WHERE r.decision = 'approve' AND 'hidden-text' <> ALL (r.acknowledged))))) LIMIT 1;
    IF missing IS NOT NULL THEN
        PERFORM public.promptforge_refuse('promotion_checks', format('The check %s has not passed on exactly this version and base.', missing));
    END IF;
    -- [end]
END;
$guard$;

-- What each kind of release demands. The head's row is the only place where movers of one ledger meet.
CREATE OR REPLACE FUNCTION public.promptforge_release_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    prompt public.prompts_prompt;
    policy public.prompts_channelpolicy;
    head public.prompts_head;
    last public.prompts_release;
    promotion public.prompts_promotion;
BEGIN
    PERFORM public.promptforge_read_committed();
    IF NEW.kind = 'promote' THEN
        PERFORM FROM public.prompts_channel WHERE id = NEW.channel_id FOR SHARE;
    END IF;
    SELECT * INTO head FROM public.prompts_head WHERE prompt_id = NEW.prompt_id AND channel_id = NEW.channel_id FOR NO KEY UPDATE;
    -- Read after the locks: what was waited for may have archived the prompt or changed the policy.
    SELECT * INTO STRICT prompt FROM public.prompts_prompt WHERE id = NEW.prompt_id;
    SELECT * INTO policy FROM public.prompts_channelpolicy WHERE channel_id = NEW.channel_id ORDER BY revision DESC LIMIT 1;
    SELECT * INTO last FROM public.prompts_release WHERE id = head.release_id;
    -- [release_of_its_prompt]
    IF head.id IS NULL OR NOT EXISTS (SELECT FROM public.prompts_promptversion WHERE id = NEW.version_id AND prompt_id = NEW.prompt_id) THEN
        PERFORM public.promptforge_refuse('release_of_its_prompt', 'A release names a version of its own prompt and a channel of its own project.');
    END IF;
    -- [end]
    -- [stale_head]
    IF NEW.revision <> head.revision + 1 THEN
        PERFORM public.promptforge_refuse('stale_head', format('The channel stands at revision %s.', head.revision));
    END IF;
    -- [end]
    -- [kind_not_available]
    IF NEW.kind NOT IN ('promote', 'rollback', 'break_glass', 'import') OR NEW.canary_version_id IS NOT NULL OR NEW.canary_share IS NOT NULL OR NEW.salt IS NOT NULL THEN
        PERFORM public.promptforge_refuse('kind_not_available', 'Releases in steps are not available yet.');
    END IF;
    -- [end]
    -- [release_without_promotion]
    IF NEW.promotion_id IS NOT NULL AND NEW.kind <> 'promote' THEN
        PERFORM public.promptforge_refuse('release_without_promotion', 'Only a release of kind promote carries out a promotion.');
    END IF;
    -- [end]
    NEW.recorded_at := public.promptforge_now();
    IF NEW.kind = 'import' THEN
        -- [import_open]
        IF (SELECT importing FROM public.accounts_project WHERE id = prompt.project_id) IS NOT TRUE THEN
            PERFORM public.promptforge_refuse('import_open', 'The project takes no imported history any more: its own releases have begun.');
        END IF;
        -- [end]
        -- [import_right]
        IF NOT public.promptforge_holds(NEW.actor_id, 'configure', prompt.project_id, NULL) THEN
            PERFORM public.promptforge_refuse('import_right', 'History is brought along by somebody who may change the project''s channels.');
        END IF;
        -- [end]
        -- [import_in_order]
        IF NEW.at IS NULL OR NEW.at > NEW.recorded_at OR NEW.at <= last.at THEN
            PERFORM public.promptforge_refuse('import_in_order', 'Imported releases bring their dates in rising order, none in the future.');
        END IF;
        -- [end]
    ELSE
        -- [release_dated_here]
        IF NEW.at IS NOT NULL THEN
            PERFORM public.promptforge_refuse('release_dated_here', 'The database dates a release; only imported history brings its own date.');
        END IF;
        -- [end]
        PERFORM public.promptforge_ledger_lock(head.id, true);
        NEW.recorded_at := public.promptforge_now();
        NEW.at := greatest(NEW.recorded_at, last.at + interval '1 microsecond');
    END IF;
    IF NEW.kind = 'promote' THEN
        -- [archived]
        IF prompt.archived_at IS NOT NULL THEN
            PERFORM public.promptforge_refuse('archived', 'An archived prompt is released no further.');
        END IF;
        -- [end]
        -- [already_live]
        IF NEW.version_id = head.version_id THEN
            PERFORM public.promptforge_refuse('already_live', 'That version is live already.');
        END IF;
        -- [end]
        -- [freeze]
        IF EXISTS (SELECT FROM public.prompts_freezewindow f WHERE f.channel_id = NEW.channel_id AND f.lifted_at IS NULL
            AND f.starts_at <= NEW.recorded_at AND f.ends_at > NEW.recorded_at) THEN
            PERFORM public.promptforge_refuse('freeze', 'A freeze window is on.');
        END IF;
        -- [end]
        -- [release_right]
        IF NOT (public.promptforge_holds(NEW.actor_id, 'release', prompt.project_id, prompt.id)
            OR public.promptforge_key_opens(NEW.actor_id, 'releases:write', prompt.project_id)) THEN
            PERFORM public.promptforge_refuse('release_right', 'Releasing takes the right to release.');
        END IF;
        -- [end]
        IF NEW.promotion_id IS NOT NULL THEN
            SELECT * INTO STRICT promotion FROM public.prompts_promotion WHERE id = NEW.promotion_id FOR NO KEY UPDATE;
            -- [promotion_matches]
            IF (promotion.prompt_id, promotion.channel_id, promotion.version_id) IS DISTINCT FROM (NEW.prompt_id, NEW.channel_id, NEW.version_id) THEN
                PERFORM public.promptforge_refuse('promotion_matches', 'The promotion is for another prompt, channel or version.');
            END IF;
            -- [end]
            PERFORM public.promptforge_promotion_ready(promotion, policy, head);
        ELSE
            -- [promotion_required]
            IF policy.id IS NULL OR public.promptforge_policy_protects(policy) THEN
                PERFORM public.promptforge_refuse('promotion_required', 'The channel is protected: it takes promotions, no direct releases.');
            END IF;
            -- [end]
        END IF;
    ELSIF NEW.kind = 'rollback' THEN
        -- [rollback_reason]
        IF btrim(NEW.reason) = '' THEN
            PERFORM public.promptforge_refuse('rollback_reason', 'A rollback takes a reason.');
        END IF;
        -- [end]
        -- [rollback_right]
        IF NOT (public.promptforge_holds(NEW.actor_id, 'release', prompt.project_id, prompt.id)
            OR public.promptforge_key_opens(NEW.actor_id, 'releases:write', prompt.project_id)
            OR (public.promptforge_holds(NEW.actor_id, 'read', prompt.project_id, prompt.id) AND EXISTS (
                SELECT FROM public.accounts_membership m WHERE m.user_id = NEW.actor_id AND m.project_id = prompt.project_id
                    AND m.roles && policy.rollback_roles))) THEN
            PERFORM public.promptforge_refuse('rollback_right', 'Rolling back takes the right to release, or a role that the policy names.');
        END IF;
        -- [end]
        -- [rollback_target_never_live]
        IF NEW.version_id = head.version_id OR NOT EXISTS (SELECT FROM public.prompts_release r
            WHERE r.prompt_id = NEW.prompt_id AND r.channel_id = NEW.channel_id AND r.version_id = NEW.version_id) THEN
            PERFORM public.promptforge_refuse('rollback_target_never_live', 'A rollback returns to another version that was live here before.');
        END IF;
        -- [end]
        -- [rollback_target_withdrawn]
        IF public.promptforge_withdrawn(NEW.prompt_id, NEW.channel_id, NEW.version_id) THEN
            PERFORM public.promptforge_refuse('rollback_target_withdrawn', 'That version was itself left by a rollback, or went live only by an unratified break-glass.');
        END IF;
        -- [end]
    ELSIF NEW.kind = 'break_glass' THEN
        -- [break_glass_reason]
        IF char_length(btrim(NEW.reason)) < 20 THEN
            PERFORM public.promptforge_refuse('break_glass_reason', 'Breaking glass takes a reason of at least 20 characters.');
        END IF;
        -- [end]
        -- [break_glass_right]
        IF NOT public.promptforge_holds(NEW.actor_id, 'read', prompt.project_id, prompt.id) OR NOT EXISTS (
            -- A grant ends with the membership that it was given to.
            SELECT FROM public.accounts_breakglassgrant g
            JOIN public.accounts_membership m ON m.user_id = g.user_id AND m.project_id = g.project_id AND m.created_at <= g.at
            WHERE g.user_id = NEW.actor_id AND g.project_id = prompt.project_id
                AND g.at <= NEW.recorded_at AND g.expires_at > NEW.recorded_at) THEN
            PERFORM public.promptforge_refuse('break_glass_right', 'Breaking glass takes a grant that somebody else gave and that has not expired.');
        END IF;
        -- [end]
        -- [break_glass_moves]
        IF NEW.version_id = head.version_id THEN
            PERFORM public.promptforge_refuse('already_live', 'That version is live already.');
        END IF;
        -- [end]
    END IF;
    NEW.previous_digest := coalesce(last.digest, '');
    NEW.digest := public.promptforge_release_digest(NEW);
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE TRIGGER release_insert BEFORE INSERT ON public.prompts_release
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_release_insert();
CREATE OR REPLACE TRIGGER ratification_insert BEFORE INSERT ON public.prompts_ratification
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_ratification_insert();
CREATE OR REPLACE TRIGGER ratification_frozen BEFORE UPDATE OR DELETE ON public.prompts_ratification
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER ratification_not_truncated BEFORE TRUNCATE ON public.prompts_ratification
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER promotion_insert BEFORE INSERT ON public.prompts_promotion
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_promotion_insert();
CREATE OR REPLACE TRIGGER promotion_update BEFORE UPDATE ON public.prompts_promotion
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_promotion_update();
CREATE OR REPLACE TRIGGER promotion_kept BEFORE DELETE ON public.prompts_promotion
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER promotion_not_truncated BEFORE TRUNCATE ON public.prompts_promotion
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER review_insert BEFORE INSERT ON public.prompts_review
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_review_insert();
CREATE OR REPLACE TRIGGER review_frozen BEFORE UPDATE OR DELETE ON public.prompts_review
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER review_not_truncated BEFORE TRUNCATE ON public.prompts_review
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER dismissal_insert BEFORE INSERT ON public.prompts_reviewdismissal
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_dismissal_insert();
CREATE OR REPLACE TRIGGER dismissal_frozen BEFORE UPDATE OR DELETE ON public.prompts_reviewdismissal
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER dismissal_not_truncated BEFORE TRUNCATE ON public.prompts_reviewdismissal
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER check_insert BEFORE INSERT ON public.prompts_check
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_check_insert();
CREATE OR REPLACE TRIGGER check_frozen BEFORE UPDATE OR DELETE ON public.prompts_check
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER check_not_truncated BEFORE TRUNCATE ON public.prompts_check
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER schedule_insert BEFORE INSERT ON public.prompts_schedule
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_schedule_insert();
CREATE OR REPLACE TRIGGER schedule_frozen BEFORE UPDATE OR DELETE ON public.prompts_schedule
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER schedule_not_truncated BEFORE TRUNCATE ON public.prompts_schedule
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
