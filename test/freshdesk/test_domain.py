"""What somebody types becomes the host that a key is sent to: (000-24, 000-50, 000-63, 000-65)."""

import string
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.collector.freshdesk.domain import parse_domain
from backend.core.collector.freshdesk.network import FreshdeskNetwork, is_file_host
from backend.core.error import Invalid, TargetRefused

HOSTILE = [
    "",
    " ",
    ".",
    "a.freshdesk.com.evil.tld",
    "a.freshdesk.com.",
    "freshdesk.com",
    ".freshdesk.com",
    "a.b.freshdesk.com",
    "evil.tld",
    "evil.tld/a.freshdesk.com",
    "evil.tld#.freshdesk.com",
    "evil.tld?.freshdesk.com",
    "user@a.freshdesk.com",
    "https://user:pass@a.freshdesk.com/",
    "https://a.freshdesk.com@evil.tld/",
    "https://a.freshdesk.com:8443/",
    "a.freshdesk.com:443",
    "https://a.freshdesk.com\\@evil.tld",
    "http://a.freshdesk.com/",
    "ftp://a.freshdesk.com/",
    "//a.freshdesk.com",
    "https://https://a.freshdesk.com",
    "a.freshdesk.com.freshdesk.com",
    "-a.freshdesk.com",
    "a-.freshdesk.com",
    "a_b.freshdesk.com",
    "a%2e.freshdesk.com",
    "a b.freshdesk.com",
    "a\n.freshdesk.com",
    "a.freshdesk.com\nHost: evil.tld",
    "a\x00.freshdesk.com",
    "xn--80ak6aa92e.freshdesk.com",
    "аcme.freshdesk.com",  # a Cyrillic а
    "\u212aite.freshdesk.com",  # a Kelvin sign, which becomes a k
    "a。freshdesk.com",
    "127.0.0.1",
    "[::1]",
    "169.254.169.254",
    "localhost:6379",
    "a" * 64,
    "https://a.freshdesk.com/" + "x" * 5000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_freshdesk_domain_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_domain(text)


@pytest.mark.parametrize(
    "text",
    ["acme", "ACME", "acme.freshdesk.com", " Acme.Freshdesk.COM\n", "https://acme.freshdesk.com/a/tickets/1?x=@b#c"],
)
def test_the_same_account_in_all_its_spellings(text: str) -> None:
    assert parse_domain(text).host == "acme.freshdesk.com"


@given(st.text(alphabet=string.printable + "аㄱ。\u212a\x00", max_size=60) | st.text(max_size=40))
def test_whatever_is_typed_the_host_is_one_label_of_freshdesk_or_nothing(text: str) -> None:
    for attempt in (text, f"{text}.freshdesk.com", f"https://{text}.freshdesk.com/", f"a.freshdesk.com{text}"):
        try:
            domain = parse_domain(attempt)
        except Invalid:
            continue
        label, rest = domain.host.split(".", 1)
        assert rest == "freshdesk.com"
        assert label == domain.subdomain
        assert 0 < len(label) <= 63
        assert set(label) <= set(string.ascii_lowercase + string.digits + "-")
        parts = urlsplit(FreshdeskNetwork().base(domain))
        assert (parts.hostname, parts.port, parts.username) == (domain.host, None, None)


@pytest.mark.parametrize(
    "host",
    [
        "s3.amazonaws.com",
        "s3-eu-central-1.amazonaws.com",
        "s3.ap-southeast-2.amazonaws.com",
        "cdn.freshdesk.com.s3.amazonaws.com",
        "bucket.s3.dualstack.us-east-1.amazonaws.com",
        "attachment.freshdesk.com",
        "euc-cdn.freshdesk.com",
    ],
)
def test_files_are_at_freshdesk_and_at_s3(host: str) -> None:
    assert is_file_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "s3.amazonaws.com.evil.tld",
        "evil-s3.amazonaws.com",
        "ec2-1-2-3-4.compute.amazonaws.com",
        "s3.evil.amazonaws.com",
        "freshdesk.com.evil.tld",
        "evilfreshdesk.com",
        "amazonaws.com",
        "localhost",
        "127.0.0.1",
    ],
)
def test_files_are_nowhere_else(host: str) -> None:
    assert not is_file_host(host)
    with pytest.raises(TargetRefused):
        FreshdeskNetwork().files(f"https://{host}/x")


def test_without_a_simulator_no_file_of_this_machine_is_fetched_and_none_over_http() -> None:
    for url in ("http://s3.amazonaws.com/x", "https://s3.amazonaws.com:8443/x", "http://127.0.0.1:9000/x", "file:///x"):
        with pytest.raises(TargetRefused):
            FreshdeskNetwork().files(url)
