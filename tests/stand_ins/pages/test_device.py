"""What the page makes of a browser's own words, and whether it has SIMD."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).resolve().parents[3] / "agents" / "page" / "src"
IPHONE_6S = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 15_8_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/15.6.6 Mobile/15E148 Safari/604.1"
)
IPHONE_16_4 = IPHONE_6S.replace("15_8_3", "16_4_1").replace("15.6.6", "16.4")
PIXEL = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 7 Build/UQ1A) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/130.0.0.0 Mobile Safari/537.36"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_NO_SIMD = [f"--no-enable-{one}" for one in ("ssse3", "sse4-1", "sse4-2", "avx", "avx2")]


@pytest.fixture
def answer(need: Callable[[object, str], None]) -> Callable[..., Any]:
    """The value of an expression over the page's ``device.js``, in node."""
    node = shutil.which("node")
    need(node, "there is no node here: apt-get install nodejs")

    def evaluate(expression: str, *options: str) -> Any:
        script = (
            f"import * as device from '{(SOURCES / 'device.js').as_uri()}';"
            f"console.log(JSON.stringify({expression}));"
        )
        command = [str(node), *options, "--input-type=module", "-e", script]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60.0)
        return json.loads(done.stdout)

    return evaluate


@pytest.mark.parametrize(
    ("agent", "model", "browser"),
    [
        (IPHONE_6S, "iPhone (OS 15.8.3)", "Safari 15.6.6"),
        (PIXEL, "Pixel 7", "Chrome 130"),
        (FIREFOX, "X11; Linux x86_64; rv:140.0", "Firefox 140"),
        ("curl", "browser", "unknown browser"),
    ],
    ids=["iphone", "android", "firefox", "nothing"],
)
def test_browser_is_named_by_its_own_words(answer: Any, agent: str, model: str, browser: str) -> None:
    said = json.dumps(agent)
    assert answer(f"[device.deviceModel('', {said}), device.browserName({said})]") == [model, browser]


def test_owner_knows_better_what_phone_it_is(answer: Any) -> None:
    assert answer(f"device.deviceModel('iPhone 6s', {json.dumps(IPHONE_6S)})") == "iPhone 6s"


@pytest.mark.parametrize(
    ("agent", "options", "expected"),
    [(PIXEL, [], True), (PIXEL, _NO_SIMD, False), (IPHONE_16_4, [], False)],
    ids=["there", "missing", "wrong in Safari 16.4"],
)
def test_simd_is_used_where_it_is_there_and_right(
    answer: Any, agent: str, options: list[str], expected: bool
) -> None:
    assert answer(f"device.hasSimd({json.dumps(agent)})", *options) is expected
