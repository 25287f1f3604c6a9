-- What the database itself refuses, part 4: what it finds in a version's text, whatever a stored check says of it.
-- Each function answers as its namesake in Python, which says the sentence; the rules stand in promotions.sql.

-- Whether a version holds what shows a text otherwise than it is stored: direction controls, and tag characters that are
-- no region's flag. As `severe` of prompts/hidden_text.py, over everything that is served.
CREATE OR REPLACE FUNCTION public.promptforge_hides_text(version bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    SELECT regexp_replace(content || variables || config,
            '\U0001F3F4[\U000E0030-\U000E0039\U000E0061-\U000E007A]{2,6}\U000E007F', '', 'g')
        ~ '[\U000E0000-\U000E007F\u202A-\u202E\u2066-\u2069\u200E\u200F\u061C]'
    FROM public.prompts_promptversion WHERE id = version;
$guard$;

-- Whether a version holds a key of a published form: FORMS of prompts/secret_scan.py, but for the two that take more than
-- an expression. That a value is only called a secret, Python alone can tell.
CREATE OR REPLACE FUNCTION public.promptforge_shows_secret(version bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    -- The forms take a session a third of a second to compile once; where none begins, they are not looked at.
    SELECT CASE WHEN content || variables || config ~ ('(?<![A-Za-z0-9_-])(?:AKIA|ASIA|gh[pousr]_|github_pat_|gl(?:pat|dt|rt)-|xox[abeoprs]-|'
        'hooks[.]slack|[sr]k_(?:live|test)_|sk-|AIza|GOCSPX-|hf_|gsk_|r8_|xai-|npm_|pypi-A|SG[.]|SK[0-9a-f]|do[opr]_v1_|shp|dapi[0-9a-f]|'
        'hv[bs][.]|[0-9]+:AA|-----BEGIN )')
    THEN content || variables || config ~ ('(?<![A-Za-z0-9_-])(?:'
        '(?:AKIA|ASIA)[A-Z2-7]{16}|'
        'gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}|'
        'gl(?:pat|dt|rt)-[A-Za-z0-9_-]{20,64}|'
        'xox[abeoprs]-[0-9]{8,14}-[0-9A-Za-z-]{10,200}|'
        'hooks[.]slack[.]com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{20,30}|'
        '[sr]k_(?:live|test)_[A-Za-z0-9]{24,120}|'
        'sk-(?:(?:proj|svcacct|admin)-)?[A-Za-z0-9_-]{20,100}T3BlbkFJ[A-Za-z0-9_-]{20,100}|'
        'sk-ant-[a-z]{3,8}[0-9]{2}-[A-Za-z0-9_-]{80,120}|'
        'sk-lf-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|'
        'AIza[0-9A-Za-z_-]{35}|'
        'GOCSPX-[A-Za-z0-9_-]{28}|'
        'hf_[A-Za-z0-9]{34,40}|'
        'gsk_[A-Za-z0-9]{52}|'
        'r8_[A-Za-z0-9]{37}|'
        'xai-[A-Za-z0-9]{80}|'
        'npm_[A-Za-z0-9]{36}|'
        'pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,250}|'
        'SG[.][A-Za-z0-9_-]{22}[.][A-Za-z0-9_-]{43}|'
        'SK[0-9a-f]{32}|'
        'do[opr]_v1_[0-9a-f]{64}|'
        'shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|'
        'dapi[0-9a-f]{32}(?:-[0-9])?|'
        'hv[bs][.][A-Za-z0-9_-]{90,200}|'
        '[0-9]{8,10}:AA[A-Za-z0-9_-]{33}|'
        '-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----'
        ')(?![A-Za-z0-9])')
    ELSE false END
    FROM public.prompts_promptversion WHERE id = version;
$guard$;

-- Whether callers of one version would have to change what they send to another: `_breaks` of prompts/checks.py.
CREATE OR REPLACE FUNCTION public.promptforge_breaks_callers(live bigint, candidate bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $guard$
    WITH old AS (
        SELECT v ->> 'name' AS name, v ->> 'type' AS type, (v ->> 'required')::boolean AS required,
            (v ->> 'max_length')::int AS longest,
            CASE WHEN jsonb_array_length(nullif(v -> 'enum', 'null')) > 0 THEN v -> 'enum' ELSE '["others"]' END AS choices
        FROM public.prompts_promptversion, jsonb_array_elements(variables::jsonb) v WHERE id = live
    ), new AS (
        SELECT v ->> 'name' AS name, v ->> 'type' AS type, (v ->> 'required')::boolean AS required,
            (v ->> 'max_length')::int AS longest, nullif(v -> 'enum', 'null') AS choices
        FROM public.prompts_promptversion, jsonb_array_elements(variables::jsonb) v WHERE id = candidate
    )
    SELECT live IS NOT NULL AND EXISTS (
        SELECT FROM new LEFT JOIN old ON old.name = new.name
        WHERE (new.required AND old.required IS NOT TRUE)
           OR (old.name IS NOT NULL AND (
                (new.type NOT IN (old.type, 'json') AND (old.type, new.type) NOT IN (('enum', 'string'), ('integer', 'number')))
                OR NOT new.choices @> old.choices
                OR new.longest < coalesce(old.longest, new.longest + 1))));
$guard$;
