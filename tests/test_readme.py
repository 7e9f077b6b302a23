import runpy
from pathlib import Path

from neural_style_keras.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_table_of_flags_is_that_of_the_settings():
    flags = runpy.run_path(str(ROOT / "script" / "flags"))
    assert flags["with_tables"](README) == README, "run script/flags --write"
    assert f"(default: {Settings().style_weight})" in flags["table"]()


def test_the_pictures_and_the_files_that_it_names_are_there():
    import re

    for path in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / path).exists(), path
