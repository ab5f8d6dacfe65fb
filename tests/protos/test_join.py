"""Join tokens and identities as text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetnas_controller.authority import Authority
from fleetnas_protos.identity import Identity, new_key_and_request, parse_identity
from fleetnas_protos.join import JoinText, parse_join_text

_SECRETS = st.text("abcXYZ019-_", min_size=1, max_size=60)


@pytest.fixture(scope="module")
def authority_pem(tmp_path_factory: pytest.TempPathFactory) -> str:
    return Authority(tmp_path_factory.mktemp("authority"), lambda: 1.8e9).certificate_pem.decode()


@given(secret=_SECRETS, port=st.integers(1, 65_535))
def test_join_text_comes_back_whole(authority_pem: str, secret: str, port: int) -> None:
    text = JoinText(secret, port, authority_pem)
    assert parse_join_text(f" {text}\n") == text
    assert parse_join_text(secret) == JoinText(secret)


@given(cut=st.integers(7, 300))
def test_cut_join_text_is_noticed(authority_pem: str, cut: int) -> None:
    whole = str(JoinText("secret", 7071, authority_pem))
    with pytest.raises(ValueError, match="copy the whole line"):
        parse_join_text(whole[:cut])


def test_identity_comes_back_whole_and_anything_else_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path, lambda: 1.8e9)
    key, request = new_key_and_request()
    issued = authority.sign(request, "devices/a", 1000.0)
    identity = Identity(key, issued.certificate_pem, authority.certificate_pem)
    assert parse_identity(identity.pem()) == identity
    assert identity.lifetime()[1] == issued.expire_time == 1.8e9 + 1000.0
    for broken in (b"", identity.pem()[:-40], issued.certificate_pem, identity.pem() + key):
        with pytest.raises(ValueError, match="not a private key"):
            parse_identity(broken)
