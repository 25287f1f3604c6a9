-- What the database itself refuses, part 1: the shared tools, and the memory (events, seals, serving rows).
--
-- Every function fixes its search_path (a temporary table named like ours would otherwise stand in front of it) and
-- names its tables with their schema. A rule that can be broken stands between "-- [name]" and "-- [end]": the name is
-- the constraint that the refusal carries, and a test breaks the rule to see that its attack then succeeds.

CREATE OR REPLACE FUNCTION public.promptforge_now() RETURNS timestamptz
LANGUAGE sql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT clock_timestamp();
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_refuse(name text, message text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = name, MESSAGE = message;
END;
$guard$;

-- Digests cover fields as netstrings, so that no two different rows share a text: "5:hello," and "~" for null.
CREATE OR REPLACE FUNCTION public.promptforge_digest(VARIADIC fields text[]) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT sha256(convert_to(string_agg(coalesce(octet_length(f)::text || ':' || f || ',', '~'), '' ORDER BY n), 'UTF8'))
    FROM unnest(fields) WITH ORDINALITY AS field(f, n);
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_micros(moment timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT ((extract(epoch FROM moment) * 1000000)::bigint)::text;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_frozen() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    PERFORM public.promptforge_refuse(TG_TABLE_NAME || '_frozen',
        'Rows of ' || TG_TABLE_NAME || ' are history: they are never changed or deleted.');
    RETURN NULL;
END;
$guard$;

-- A repeatable-read snapshot would let a guard read the past while it decides about the present.
CREATE OR REPLACE FUNCTION public.promptforge_read_committed() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [read_committed]
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM public.promptforge_refuse('read_committed', 'Decisions are made at the isolation level read committed only.');
    END IF;
    -- [end]
END;
$guard$;

-- The serving row of a project, locked until the transaction ends. Called while committing, so nothing waits behind it.
CREATE OR REPLACE FUNCTION public.promptforge_serving(project bigint) RETURNS public.events_serving
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    serving public.events_serving;
    other text := current_setting('promptforge.project', true);
BEGIN
    -- [one_project]
    IF other <> '' AND other <> project::text THEN
        PERFORM public.promptforge_refuse('one_project', 'One transaction changes one project: two would lock each other out.');
    END IF;
    -- [end]
    PERFORM set_config('promptforge.project', project::text, true);
    SELECT * INTO STRICT serving FROM public.events_serving WHERE project_id = project FOR NO KEY UPDATE;
    RETURN serving;
END;
$guard$;

-- Notes what a serving process must load again, under a generation that this transaction advances once.
CREATE OR REPLACE FUNCTION public.promptforge_serve(project bigint, changed text, subject bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    serving public.events_serving := public.promptforge_serving(project);
    mine bigint := pg_current_xact_id()::text::bigint;
BEGIN
    IF serving.transaction <> mine THEN
        UPDATE public.events_serving SET generation = generation + 1, transaction = mine
        WHERE project_id = project RETURNING * INTO serving;
    END IF;
    INSERT INTO public.events_servedchange (project_id, generation, kind, subject_id)
    VALUES (project, serving.generation, changed, subject) ON CONFLICT DO NOTHING;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_serving_update() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [serving_forward]
    -- The transaction is the one that advances: naming another would let that one change what is served unseen.
    IF NEW.project_id <> OLD.project_id
        OR (NEW.epoch <> OLD.epoch AND (NEW.generation < OLD.generation OR NEW.transaction <> 0))
        OR (NEW.epoch = OLD.epoch AND (NEW.generation <> OLD.generation + 1
            OR NEW.transaction <> pg_current_xact_id()::text::bigint OR NEW.transaction = OLD.transaction)) THEN
        PERFORM public.promptforge_refuse('serving_forward', 'A generation advances by one a transaction; a new history takes a new epoch.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_event_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    form text;
BEGIN
    -- [event_data_object]
    BEGIN
        form := jsonb_typeof(NEW.data::jsonb);
    EXCEPTION WHEN invalid_text_representation THEN
        form := NULL;
    END;
    IF form IS DISTINCT FROM 'object' THEN
        PERFORM public.promptforge_refuse('event_data_object', 'What an event tells is a JSON object.');
    END IF;
    -- [end]
    NEW.at := public.promptforge_now();
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_event_seal() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    PERFORM public.promptforge_serving(NEW.project_id);
    INSERT INTO public.events_eventseal (project_id, seq, event_id, digest) VALUES (NEW.project_id, 0, NEW.id, '');
    RETURN NULL;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_seal_digest(previous bytea, seq bigint, e public.events_event) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT public.promptforge_digest('seal.v1', encode(previous, 'hex'), seq::text, e.id::text, e.project_id::text, e.kind,
        e.actor_kind, e.actor_id::text, e.subject_kind, e.subject_id::text, e.data, public.promptforge_micros(e.at));
$guard$;

-- Whoever inserts a seal, its place and digest are the database's.
CREATE OR REPLACE FUNCTION public.promptforge_seal_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
DECLARE
    event public.events_event;
    last public.events_eventseal;
BEGIN
    PERFORM public.promptforge_serving(NEW.project_id);
    SELECT * INTO STRICT event FROM public.events_event WHERE id = NEW.event_id;
    -- [seal_of_project]
    IF event.project_id <> NEW.project_id THEN
        PERFORM public.promptforge_refuse('seal_of_project', 'An event is sealed in the chain of its own project.');
    END IF;
    -- [end]
    SELECT * INTO last FROM public.events_eventseal WHERE project_id = NEW.project_id ORDER BY seq DESC LIMIT 1;
    NEW.seq := coalesce(last.seq, 0) + 1;
    NEW.digest := public.promptforge_seal_digest(coalesce(last.digest, ''), NEW.seq, event);
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_webhook_update() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [webhook_stays]
    IF NEW.id <> OLD.id OR NEW.project_id <> OLD.project_id OR (OLD.removed_at IS NOT NULL AND NEW IS DISTINCT FROM OLD) THEN
        PERFORM public.promptforge_refuse('webhook_stays', 'A webhook endpoint stays in its project, and a removed one as it was.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE FUNCTION public.promptforge_delivery_write() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    -- [delivery_of_project]
    IF (SELECT project_id FROM public.events_webhookendpoint WHERE id = NEW.endpoint_id)
        IS DISTINCT FROM (SELECT project_id FROM public.events_event WHERE id = NEW.event_id) THEN
        PERFORM public.promptforge_refuse('delivery_of_project', 'An event is sent to endpoints of its own project only.');
    END IF;
    -- [end]
    RETURN NEW;
END;
$guard$;

CREATE OR REPLACE TRIGGER event_insert BEFORE INSERT ON public.events_event
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_event_insert();
CREATE OR REPLACE TRIGGER event_frozen BEFORE UPDATE OR DELETE ON public.events_event
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER event_not_truncated BEFORE TRUNCATE ON public.events_event
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER seal_insert BEFORE INSERT ON public.events_eventseal
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_seal_insert();
CREATE OR REPLACE TRIGGER seal_frozen BEFORE UPDATE OR DELETE ON public.events_eventseal
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER seal_not_truncated BEFORE TRUNCATE ON public.events_eventseal
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER serving_update BEFORE UPDATE ON public.events_serving
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_serving_update();
CREATE OR REPLACE TRIGGER serving_kept BEFORE DELETE ON public.events_serving
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER serving_not_truncated BEFORE TRUNCATE ON public.events_serving
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER served_change_frozen BEFORE UPDATE OR DELETE ON public.events_servedchange
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER served_change_not_truncated BEFORE TRUNCATE ON public.events_servedchange
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();

CREATE OR REPLACE TRIGGER webhook_update BEFORE UPDATE ON public.events_webhookendpoint
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_webhook_update();
CREATE OR REPLACE TRIGGER webhook_kept BEFORE DELETE ON public.events_webhookendpoint
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER webhook_not_truncated BEFORE TRUNCATE ON public.events_webhookendpoint
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER webhook_history_frozen BEFORE UPDATE OR DELETE ON public.events_historicalwebhookendpoint
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER webhook_history_not_truncated BEFORE TRUNCATE ON public.events_historicalwebhookendpoint
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER delivery_write BEFORE INSERT OR UPDATE ON public.events_delivery
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_delivery_write();
CREATE OR REPLACE TRIGGER attempt_frozen BEFORE UPDATE OR DELETE ON public.events_deliveryattempt
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen();
CREATE OR REPLACE TRIGGER attempt_not_truncated BEFORE TRUNCATE ON public.events_deliveryattempt
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_frozen();

-- Deferred: runs while committing, so that seals stand in the order of commits.
DROP TRIGGER IF EXISTS event_seal ON public.events_event;
CREATE CONSTRAINT TRIGGER event_seal AFTER INSERT ON public.events_event DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_event_seal();
