from __future__ import annotations

from watchbill.records.schema import KINDS, SCHEMA
from watchbill.rules.taxonomy import CONTRACT, KNOWN, SERVICES, nearest, type_of


def test_each_kind_belongs_to_one_service() -> None:
    assert sorted(kind for kinds in SERVICES.values() for kind in kinds) == sorted(KINDS)


def test_fields_are_the_contracts_and_no_name_means_two_things() -> None:
    assert set(CONTRACT) == set(SCHEMA.names) - {"arrival", "extra", "shown"}
    assert not set(CONTRACT) & set(KNOWN)


def test_unknown_fields_and_what_was_meant() -> None:
    assert type_of("extra.foo") == "text"
    assert type_of("extra.") is None
    assert type_of("accounts") is None
    assert nearest("acount") == "account"
    assert nearest("zzz") == ""
