-- What the database itself refuses, part 2: projects, members, grants and keys.

CREATE OR REPLACE FUNCTION public.promptforge_project_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    INSERT INTO public.events_serving (project_id, generation, epoch, transaction) VALUES (NEW.id, 0, gen_random_uuid(), 0);
    RETURN NULL;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_project_update() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [importing_closed]
    IF NEW.id <> OLD.id OR (NEW.importing AND NOT OLD.importing) THEN
        PERFORM public.promptforge_refuse('importing_closed', 'A project takes imported history until its first other release, and never again.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

-- The groups of a member follow the membership's roles at once, whichever door changed them. Rights of the person's own
-- end with the membership: whoever is a member again has what the new roles give.
CREATE OR REPLACE FUNCTION public.promptforge_membership_groups() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM public.accounts_user_groups g USING public.accounts_rolegroup r
        WHERE g.user_id = OLD.user_id AND g.group_id = r.group_id AND r.project_id = OLD.project_id;
    END IF;
    IF TG_OP = 'DELETE' THEN
        DELETE FROM public.accounts_projectuserpermission g WHERE g.user_id = OLD.user_id AND g.content_object_id = OLD.project_id;
        DELETE FROM public.prompts_promptuserpermission g USING public.prompts_prompt p
        WHERE g.user_id = OLD.user_id AND g.content_object_id = p.id AND p.project_id = OLD.project_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO public.accounts_user_groups (user_id, group_id)
        SELECT NEW.user_id, r.group_id FROM public.accounts_rolegroup r
        WHERE r.project_id = NEW.project_id AND r.role = ANY (NEW.roles) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END;
$guard$;

-- A role's group carries the role's rights: who is in it says the membership alone.
CREATE OR REPLACE FUNCTION public.promptforge_role_group_member() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [role_group_follows_membership]
    IF EXISTS (SELECT FROM public.accounts_rolegroup r WHERE r.group_id = NEW.group_id AND NOT EXISTS (
        SELECT FROM public.accounts_membership m WHERE m.user_id = NEW.user_id AND m.project_id = r.project_id AND r.role = ANY (m.roles))) THEN
        PERFORM public.promptforge_refuse('role_group_follows_membership', 'A role is given by the membership, not by putting somebody into its group.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_membership_write() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [membership_of_person]
    IF (SELECT kind FROM public.accounts_user WHERE id = NEW.user_id) IS DISTINCT FROM 'person'
        OR (TG_OP = 'UPDATE' AND (NEW.user_id <> OLD.user_id OR NEW.project_id <> OLD.project_id)) THEN
        PERFORM public.promptforge_refuse('membership_of_person', 'People are members; a service account has its key. A membership keeps its person and project.');
    END IF;
    -- [end]
    NEW.created_at := CASE WHEN TG_OP = 'INSERT' THEN public.promptforge_now() ELSE OLD.created_at END;
    RETURN NEW;
END;
$guard$;

-- Somebody has to keep a project's members and keys: whoever is its last admin stays one until another is there.
CREATE OR REPLACE FUNCTION public.promptforge_membership_leave() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [last_admin]
    IF 'admin' = ANY (OLD.roles) AND (TG_OP = 'DELETE' OR 'admin' <> ALL (NEW.roles)) THEN
        PERFORM public.promptforge_read_committed();
        -- Of two admins who leave at once, the second waits here, and then sees that the first has gone.
        PERFORM FROM public.accounts_project WHERE id = OLD.project_id FOR NO KEY UPDATE;
        IF NOT EXISTS (SELECT FROM public.accounts_membership m JOIN public.accounts_user u ON u.id = m.user_id
            WHERE m.project_id = OLD.project_id AND m.id <> OLD.id AND 'admin' = ANY (m.roles) AND u.is_active) THEN
            PERFORM public.promptforge_refuse('last_admin', 'This is the last admin of the project. Make somebody else an admin first.');
        END IF;
    END IF;
    -- [end]
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_grant_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    NEW.at := public.promptforge_now();
    -- [grant_short]
    IF NEW.expires_at > NEW.at + interval '24 hours' THEN
        PERFORM public.promptforge_refuse('grant_short', 'The right to break glass is given for 24 hours at most.');
    END IF;
    -- [end]
    -- [grant_right]
    -- A person: a service account holds nothing, so nobody gives it to themselves through a key either.
    IF NOT public.promptforge_holds(NEW.granted_by_id, 'administer', NEW.project_id, NULL) THEN
        PERFORM public.promptforge_refuse('grant_right', 'The right to break glass is given by an admin of the project.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

-- A key says for ever what it said when it was made; it can only end, and sooner than it would have.
CREATE OR REPLACE FUNCTION public.promptforge_key_update() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [key_kept]
    IF (NEW.id, NEW.project_id, NEW.service_account_id, NEW.public_id, NEW.hash_key_id, NEW.secret_hash, NEW.scopes,
            NEW.channels, NEW.prompts, NEW.created_by_id, NEW.created_at)
        IS DISTINCT FROM (OLD.id, OLD.project_id, OLD.service_account_id, OLD.public_id, OLD.hash_key_id, OLD.secret_hash,
            OLD.scopes, OLD.channels, OLD.prompts, OLD.created_by_id, OLD.created_at) THEN
        PERFORM public.promptforge_refuse('key_kept', 'What an API key may do is fixed when it is made. Revoke it and make another.');
    END IF;
    -- [end]
    -- [key_ends_once]
    IF (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at)
        OR coalesce(NEW.expires_at, 'infinity') > coalesce(OLD.expires_at, 'infinity') THEN
        PERFORM public.promptforge_refuse('key_ends_once', 'A revoked key stays revoked, and an expiry only moves nearer.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_publish_key() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    PERFORM public.promptforge_serve(NEW.project_id, 'key', NEW.id);
    RETURN NULL;
END;
$guard$;

-- A key ends with its service account.
CREATE OR REPLACE FUNCTION public.promptforge_publish_account() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    IF NEW.is_active <> OLD.is_active THEN
        PERFORM public.promptforge_serve(k.project_id, 'key', k.id) FROM public.accounts_apikey k WHERE k.service_account_id = NEW.id;
    END IF;
    RETURN NULL;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_publish_project() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    IF NEW.serves_stale <> OLD.serves_stale THEN
        PERFORM public.promptforge_serve(NEW.id, 'project', NEW.id);
    END IF;
    RETURN NULL;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_publish_member() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    PERFORM public.promptforge_serve(coalesce(NEW.project_id, OLD.project_id), 'member', coalesce(NEW.user_id, OLD.user_id));
    RETURN NULL;
END;
$guard$;

CREATE OR REPLACE TRIGGER project_insert AFTER INSERT ON public.accounts_project
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_project_insert();
CREATE OR REPLACE TRIGGER project_update BEFORE UPDATE ON public.accounts_project
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_project_update();
CREATE OR REPLACE TRIGGER project_kept BEFORE DELETE ON public.accounts_project
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER project_not_truncated BEFORE TRUNCATE ON public.accounts_project
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER membership_write BEFORE INSERT OR UPDATE ON public.accounts_membership
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_membership_write();
CREATE OR REPLACE TRIGGER membership_groups AFTER INSERT OR UPDATE OR DELETE ON public.accounts_membership
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_membership_groups();
CREATE OR REPLACE TRIGGER membership_leave BEFORE UPDATE OR DELETE ON public.accounts_membership
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_membership_leave();
CREATE OR REPLACE TRIGGER role_group_member BEFORE INSERT OR UPDATE ON public.accounts_user_groups
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_role_group_member();
CREATE OR REPLACE TRIGGER membership_not_truncated BEFORE TRUNCATE ON public.accounts_membership
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER membership_history_frozen BEFORE UPDATE OR DELETE ON public.accounts_historicalmembership
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER membership_history_not_truncated BEFORE TRUNCATE ON public.accounts_historicalmembership
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER grant_insert BEFORE INSERT ON public.accounts_breakglassgrant
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_grant_insert();
CREATE OR REPLACE TRIGGER grant_frozen BEFORE UPDATE OR DELETE ON public.accounts_breakglassgrant
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER grant_not_truncated BEFORE TRUNCATE ON public.accounts_breakglassgrant
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER key_update BEFORE UPDATE ON public.accounts_apikey
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_key_update();
CREATE OR REPLACE TRIGGER key_kept BEFORE DELETE ON public.accounts_apikey
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER key_not_truncated BEFORE TRUNCATE ON public.accounts_apikey
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();

DROP TRIGGER IF EXISTS key_publish ON public.accounts_apikey;
CREATE CONSTRAINT TRIGGER key_publish AFTER INSERT OR UPDATE ON public.accounts_apikey DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_publish_key();
DROP TRIGGER IF EXISTS membership_publish ON public.accounts_membership;
CREATE CONSTRAINT TRIGGER membership_publish AFTER INSERT OR UPDATE OR DELETE ON public.accounts_membership DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_publish_member();
DROP TRIGGER IF EXISTS account_publish ON public.accounts_user;
CREATE CONSTRAINT TRIGGER account_publish AFTER UPDATE ON public.accounts_user DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_publish_account();
DROP TRIGGER IF EXISTS project_publish ON public.accounts_project;
CREATE CONSTRAINT TRIGGER project_publish AFTER UPDATE ON public.accounts_project DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_publish_project();
