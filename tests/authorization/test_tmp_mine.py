from tests.authorization import test_matrix as m
from tests.authorization import test_pages as p
from tests.authorization.test_matrix import world  # noqa

MINE = {k: v for k, v in m.TABLE.items() if "evaluation-rules" in k or k == "api/v1/evaluation-sets"}
PG = {
    k: v
    for k, v in p.PAGES.items()
    if k in ("evaluations", "new_set", "evaluation_set", "import_cases", "export_set", "settings_rules", "output")
}


def test_mine(world, monkeypatch):
    monkeypatch.setattr(m, "TABLE", MINE)
    bad = []
    for method in ("GET", "POST", "DELETE", "PUT"):
        try:
            m.test_each_caller_gets_what_the_table_says(world, method)
        except AssertionError as e:
            bad.append(str(e)[:3000])
    monkeypatch.setattr(p, "PAGES", PG)
    for f in (
        p.test_each_caller_sees_what_the_table_says,
        p.test_each_form_is_taken_from_whom_the_table_says,
        p.test_a_foreign_thing_answers_as_an_absent_one,
    ):
        try:
            f(world)
        except AssertionError as e:
            bad.append(f.__name__ + str(e)[:3000])
    print("\n".join(bad))
    assert not bad
