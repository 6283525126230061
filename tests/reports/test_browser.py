"""Pages in a browser, where there is one: they fit a phone, and fetch nothing."""

import html
import json
import re
import shutil
import subprocess

import pytest

pytest.importorskip("babel")
pytest.importorskip("cv2")
pytest.importorskip("jinja2")

from keras_dsd.reports import forms
from keras_dsd.reports.language import Language
from tests.reports import samples

pytestmark = [pytest.mark.one_backend, pytest.mark.large]
NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
POLICY = re.compile(r"<meta http-equiv.*?>\n")  # it would stop what is looked for
WIDTHS = (390, 1280)
SCRIPT = """
<script>
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map(frame => ({
    width: frame.clientWidth,
    needed: frame.contentDocument.documentElement.scrollWidth,
    fetched: frame.contentWindow.performance.getEntriesByType("resource").length,
    title: frame.contentDocument.title,
  }));
  const shown = document.createElement("pre");
  shown.textContent = JSON.stringify(found);
  document.body.replaceChildren(shown);
});
</script>
"""


@pytest.mark.skipif(BROWSER is None, reason="no browser")
def test_pages_fit_and_fetch_nothing(tmp_path):
    frames = []
    for page in samples.pages().values():
        for language in ("en", "ja"):
            text, removed = POLICY.subn("", forms.html(page, Language(language)))
            assert removed == 1
            inside = html.escape(text)
            frames += [
                f'<iframe style="border: 0" width={width} height=800 srcdoc="{inside}">'
                "</iframe>"
                for width in WIDTHS
            ]
    file = tmp_path / "all.html"
    file.write_text(
        f"<!doctype html><meta charset=utf-8>{SCRIPT}<body>{''.join(frames)}", "utf-8"
    )
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    done = subprocess.run(
        [BROWSER, *flags, f"--user-data-dir={tmp_path / 'user'}", file.as_uri()],
        capture_output=True,
        check=True,
    )
    shown = re.search("<pre>(.*?)</pre>", done.stdout.decode("utf-8"), re.DOTALL)
    found = json.loads(html.unescape(shown.group(1)))
    assert len(found) == len(frames)
    for one in found:
        assert one["needed"] <= one["width"] and one["width"] in WIDTHS, one
        assert one["fetched"] == 0 and one["title"], one
