"""From a path to a batch: which files there are, which form each one has, and what cannot be read at all."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from promptforge.lib.errors import DomainError
from promptforge.lib.json import Json, kind_of, parse_json
from prompts.formats import folder, langfuse, openai, plain
from prompts.formats.records import Batch, Unreadable, why_of

MAX_FILES = 50_000
MAX_EXPORTED = (
    5_000_000  # files of our own export, which cannot be made in parts: a million versions are two or more each
)
MAX_TEXT = 1024 * 1024
MAX_DOCUMENT = 256 * 1024 * 1024
MAX_FAULTS = 100
TEXT_ENDINGS = ("md", "txt", "prompt")
JSON_ENDINGS = ("json", "jsonl", "ndjson")
# What people rename by mistake, by its first bytes.
_BINARY = {
    b"PK\x03\x04": "a ZIP archive (such as .xlsx or .docx)",
    b"PK\x05\x06": "an empty ZIP archive",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "gzip-compressed",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\xd0\xcf\x11\xe0": "an old Office document",
    b"SQLite format 3": "a SQLite database",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def gather(path: Path) -> Batch:
    """Everything that a folder or a file holds. Raises DomainError when nothing can be read from it at all."""
    batch = Batch()
    if path.is_dir():
        _Folder(batch, path.resolve()).read()
    elif path.is_file():
        gathered = _Gathered(batch)
        gathered.file(path, path.name, path.name)
        gathered.finish()
    else:
        raise DomainError("not_found", f"There is no file or folder {path}.")
    return batch


class _Folder:
    def __init__(self, batch: Batch, root: Path) -> None:
        self.batch, self.root = batch, root

    def read(self) -> None:
        is_export = self._is_export()
        paths = sorted(self._files(MAX_EXPORTED if is_export else MAX_FILES))
        if is_export:
            folder.read(self.batch, paths, lambda path: read_bytes(self.root / path, folder.MAX_DOCUMENT))
            return
        gathered = _Gathered(self.batch)
        for path in paths:
            gathered.file(self.root / path, path, path)
        gathered.finish()
        if not paths:
            raise DomainError("not_found", f"{self.root.name} holds no file that could be imported.")

    def _is_export(self) -> bool:
        manifest = self.root / folder.MANIFEST
        try:
            # A link that leads out is not followed here either.
            is_inside = manifest.is_file() and manifest.resolve().is_relative_to(self.root)
            return is_inside and folder.is_manifest(parse_json(read_bytes(manifest, MAX_TEXT)))
        except (Unreadable, DomainError):
            return False

    def _files(self, most: int) -> Iterator[str]:
        """The regular files inside the folder, relative to it; what is passed over is told."""
        count = 0
        for directory, folders, names in os.walk(self.root):
            base = Path(directory)
            folders[:] = sorted(name for name in folders if self._is_folder(base / name))
            for path in (base / name for name in sorted(names)):
                if self._is_usable(path):
                    count += 1
                    if count > most:
                        raise DomainError(
                            "too_large", f"{self.root.name} holds more than {most:,} files; import it in parts."
                        )
                    yield path.relative_to(self.root).as_posix()

    def _is_folder(self, path: Path) -> bool:
        inside = ascii(path.relative_to(self.root).as_posix())[1:-1]
        if path.name.startswith("."):
            self.batch.note(inside, "It is hidden and was not read.")
        elif path.is_symlink():
            self.batch.leave(inside, "It is a link to a folder; links to folders are not followed.")
        else:
            return True
        return False

    def _is_usable(self, path: Path) -> bool:
        inside = path.relative_to(self.root).as_posix()
        if path.name.startswith("."):
            if inside != ".gitattributes":
                self.batch.note(ascii(inside)[1:-1], "It is hidden and was not read.")
            return False
        wrong = None
        if not inside.isprintable() or not _is_text(inside):
            inside, wrong = ascii(inside)[1:-1], "Its name holds characters that no prompt's name has."
        elif not path.resolve().is_relative_to(self.root):
            wrong = "It is a link that leads out of the folder; it was not followed."
        elif not path.is_file():
            wrong = "It is no regular file."
        if wrong is not None:
            self.batch.leave(inside, wrong)
        return wrong is None


class _Gathered:
    """Collects what single files hold; versions of one prompt may stand in several of them."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.langfuse: list[langfuse.Item] = []
        self.openai: list[openai.Item] = []

    def file(self, path: Path, where: str, inside: str) -> None:
        name, _, ending = inside.rpartition(".")
        ending = ending.lower()
        try:
            _check_ending(name, ending)
            given = read_bytes(path, MAX_TEXT if ending in TEXT_ENDINGS else MAX_DOCUMENT)
            if ending in TEXT_ENDINGS:
                plain.prompt_of_text(self.batch, where, name, text_of_bytes(given), ending)
            elif ending == "json":
                self._document(where, name, given)
            else:
                self._lines(where, given)
        except (Unreadable, DomainError) as refusal:
            self.batch.leave(where, why_of(refusal))

    def finish(self) -> None:
        langfuse.read(self.batch, self.langfuse)
        openai.read(self.batch, self.openai)

    def _document(self, where: str, name: str, given: bytes) -> None:
        text_of_bytes(given)
        try:
            value = parse_json(given, max_bytes=MAX_DOCUMENT)
        except DomainError as refusal:
            first, _, rest = given.partition(b"\n")
            if refusal.code != "json_syntax" or not rest.lstrip().startswith(b"{") or not _is_object(first):
                raise
            self._lines(where, given)
            return
        found = value["data"] if isinstance(value, dict) and isinstance(value.get("data"), list) else value
        items: list[Any] = found if isinstance(found, list) else [found]
        if any(langfuse.is_item(item) or openai.is_item(item) for item in items):
            for place, item in enumerate(items, start=1):
                self._item(where if items is not found else f"{where}, item {place}", item)
        elif isinstance(value, list) or (isinstance(value, dict) and "content" in value):
            plain.prompt_of_object(self.batch, where, name, value)
        elif folder.is_manifest(value):
            raise Unreadable("It is the head of an export; name its folder instead.")
        else:
            raise Unreadable("Its JSON is no version, no chat, and no export of Langfuse or OpenAI.")

    def _lines(self, where: str, given: bytes) -> None:
        """JSON Lines, all or none: a version that is missing in the middle would shift all later numbers."""
        rows: list[tuple[str, Json]] = []
        faults = 0
        for number, line in enumerate(given.split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                rows.append((f"{where}, line {number}", parse_json(line, max_bytes=MAX_DOCUMENT)))
            except DomainError as refusal:
                faults += 1
                if faults <= MAX_FAULTS:
                    self.batch.leave(f"{where}, line {number}", refusal.detail)
        if faults:
            raise Unreadable(f"{faults:,} of its lines are no JSON; none was taken.")
        if not rows:
            raise Unreadable("It is empty.")
        for place, item in rows:
            self._item(place, item)

    def _item(self, where: str, item: Any) -> None:
        if langfuse.is_item(item):
            self.langfuse.append((where, item))
        elif openai.is_item(item):
            self.openai.append((where, item))
        else:
            self.batch.leave(where, f"It is {kind_of(item)} that is no version of a prompt.")


def _check_ending(name: str, ending: str) -> None:
    if not name or ending not in TEXT_ENDINGS + JSON_ENDINGS:
        raise Unreadable(f"Its ending is none of {', '.join('.' + e for e in TEXT_ENDINGS + JSON_ENDINGS)}.")


def read_bytes(path: Path, limit: int) -> bytes:
    """A file's bytes; what is no text by its first bytes, or too large, is refused."""
    try:
        with path.open("rb") as file:
            given = file.read(limit + 1)
    except OSError as error:
        raise Unreadable(f"It cannot be read: {error.strerror}.") from None
    if len(given) > limit:
        raise Unreadable(f"It has more than {limit:,} bytes; that is more than is read.")
    return given


def text_of_bytes(given: bytes) -> str:
    """The text that the bytes are in UTF-8, nothing changed."""
    if not given:
        raise Unreadable("It is empty.")
    if kind := next((kind for first, kind in _BINARY.items() if given.startswith(first)), None):
        raise Unreadable(f"It is {kind}; text in UTF-8 is expected.")
    if given.startswith(b"\xef\xbb\xbf"):
        raise Unreadable("It starts with a byte order mark (EF BB BF); save it without.")
    if (place := given.find(b"\0")) >= 0:
        raise Unreadable(f"Byte {place:,} is NUL; the file is no text, or UTF-16. Save it as UTF-8.")
    try:
        return given.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"Byte {error.start:,} (0x{given[error.start]:02x}) is not valid UTF-8.") from None


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(parse_json(line, max_bytes=MAX_DOCUMENT), dict)
    except DomainError:
        return False


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # a file name that is not UTF-8
        return False
    return True
