"""What a browser is sent: as it was taken from elsewhere, small, and nothing that the policy would have to allow."""

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from promptforge.lib.static_files import HashedFiles
from tests.plugin import ROOT

STATIC = ROOT / "static"
FIRST_PAINT = 60_000


def test_what_was_taken_from_elsewhere_is_unchanged() -> None:
    listed = json.loads((STATIC / "vendor" / "vendor.json").read_text())
    for entry in listed:
        data = (ROOT / entry["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"], entry["file"]
        assert b"sourceMappingURL" not in data
    scripts = {str(path.relative_to(ROOT)) for path in (STATIC / "vendor").rglob("*.js")}
    assert scripts <= {entry["file"] for entry in listed}


def test_a_first_page_is_small() -> None:
    base = (ROOT / "templates" / "base.html").read_text()
    common = [STATIC / name for name in re.findall(r"static '([^']+\.(?:css|js))'", base)]
    assert len(common) == 6
    sizes = {path: len(gzip.compress(path.read_bytes())) for path in common}
    largest_page = max(len(gzip.compress(path.read_bytes())) for path in (STATIC / "css").glob("*.css"))
    assert sum(sizes.values()) + largest_page < FIRST_PAINT, sizes


def test_templates_carry_no_style_and_no_script_of_their_own() -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style|<script(?![^>]*src=)|javascript:", text), path


def test_every_icon_that_is_named_is_drawn() -> None:
    drawn = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / "icons" / "sprite.svg").read_text()))
    named = {
        name
        for path in (ROOT / "templates").rglob("*.html")
        for name in re.findall(r'{% icon "([^"|]+)"(?: "\w+")? %}', path.read_text())
    }
    assert named <= drawn


def test_an_image_keeps_its_files_whatever_is_mounted_for_its_state(tmp_path: Path) -> None:
    production = {"PROMPTFORGE_ENV": "production", "PROMPTFORGE_VAR": str(tmp_path)}
    needed = {"PROMPTFORGE_ALLOWED_HOSTS": "shop.example", "PROMPTFORGE_SECRET_KEY": "x" * 50}
    program = "from promptforge import settings; print(settings.STATIC_ROOT)"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=os.environ | production | needed, capture_output=True, check=True
    )
    assert not Path(told.stdout.decode().strip()).is_relative_to(tmp_path)


def test_a_module_imports_what_has_its_final_name(tmp_path: Path) -> None:
    (tmp_path / "base.js").write_text("export const one = 1;\n")
    (tmp_path / "page.js").write_text('import { one } from "./base.js";\nconsole.log(one);\n')
    storage = HashedFiles(location=tmp_path, base_url="/static/")
    list(storage.post_process({name: (storage, name) for name in ("base.js", "page.js")}))
    [page] = list(tmp_path.glob("page.*.js"))
    assert re.search(r'from "\./base\.[0-9a-f]{12}\.js"', page.read_text())
