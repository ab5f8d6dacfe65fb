from pathlib import Path

import pytest
from cryptography import x509

from fleetnas_controller.authority import Authority
from fleetnas_protos.identity import new_key_and_request
from fleetnas_search_spaces.errors import DataLossError, InvalidArgumentError

NOW_S = 1.8e9


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, lambda: NOW_S)


def test_authority_is_made_once_and_readable_by_its_owner_only(authority: Authority, tmp_path: Path) -> None:
    assert Authority(tmp_path, lambda: NOW_S + 5.0).certificate_pem == authority.certificate_pem
    assert (tmp_path / "authority.pem").stat().st_mode & 0o077 == 0
    assert [one.name for one in tmp_path.iterdir()] == ["authority.pem"]


def test_certificate_names_who_was_asked_for_and_nothing_of_the_request(authority: Authority) -> None:
    _, request = new_key_and_request()
    certificate = x509.load_pem_x509_certificate(authority.sign(request, "devices/a", 60.0).certificate_pem)
    assert certificate.subject.rfc4514_string() == "CN=devices/a"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_certificate_does_not_outlive_the_authority(authority: Authority) -> None:
    _, request = new_key_and_request()
    end = x509.load_pem_x509_certificate(authority.certificate_pem).not_valid_after_utc.timestamp()
    assert authority.sign(request, "devices/a", 1e10).expire_time == end


@pytest.mark.parametrize("request_pem", [b"", b"no request", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"])
def test_what_is_no_request_is_refused(authority: Authority, request_pem: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match="signing request"):
        authority.sign(request_pem, "devices/a", 60.0)


def test_damaged_authority_is_named(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "authority.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n")
    with pytest.raises(DataLossError, match=r"authority\.pem"):
        Authority(tmp_path, lambda: NOW_S)
