from hypothesis import given
from hypothesis import strategies as st

from shardwright.render.names import MAX_NAME, object_name

NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,80}[a-z0-9])?", fullmatch=True)


@given(NAMES, st.sampled_from(sorted(MAX_NAME)), st.sampled_from(["", "leader", "worker-0"]))
def test_name_fits_its_kind_and_keeps_its_suffix(name, kind, suffix):
    made = object_name(kind, name, suffix)
    assert len(made) <= MAX_NAME[kind]
    assert made.endswith(suffix)
    assert "--" not in made or "--" in name


@given(NAMES, NAMES)
def test_shortened_names_stay_apart(one, other):
    if one != other:
        assert object_name("StatefulSet", one) != object_name("StatefulSet", other)


def test_names_are_those_operators_expect():
    assert object_name("StatefulSet", "llama-405b", "worker") == "llama-405b-worker"
