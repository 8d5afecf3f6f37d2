import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.domain.errors import ScreeningError
from station.screening.onnx_file import MAX_MODEL_BYTES, check_onnx
from tests.support import screening_models as models

SOUND = models.sound_model().SerializeToString()


def test_a_sound_file_passes():
    contents = check_onnx(SOUND)
    assert contents.operators == {"AveragePool", "Conv", "Sigmoid", "ReduceMean"}
    assert contents.nodes == 4


def test_the_shipped_file_passes():
    assert check_onnx((models.SHIPPED / "heat-net.onnx").read_bytes()).nodes > 10


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (models.loop_model, "Einsum"),
        (models.custom_domain_model, "evil.example"),
        (models.subgraph_model, "graph within"),
        (models.external_data_model, "another file"),
    ],
)
def test_hostile_files_are_named(make: object, says: str):
    with pytest.raises(ScreeningError, match=says):
        check_onnx(make().SerializeToString())  # type: ignore[operator]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (models.hidden_nodes_model(), "unusual way"),
        (models.own_format_model(), "own format"),
        # a key in more bytes than it needs, and the field number 0
        (SOUND + b"\xba\x00\x00", "unusual way"),
        (SOUND + b"\x02\x00", "unusual way"),
        (SOUND + b"\xf2\x03\x00", "the model has the unknown field 62"),
    ],
)
def test_nothing_can_hide_from_this_reading(data: bytes, says: str):
    with pytest.raises(ScreeningError, match=says):
        check_onnx(data)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (lambda made: made.graph, "the graph"),
        (lambda made: made.graph.node[1], "a node"),
        (lambda made: made.graph.node[1].attribute[0], "an attribute"),
        (lambda made: made.graph.initializer[0], "a tensor"),
    ],
)
def test_a_field_that_is_not_known_refuses_the_file(part: object, says: str):
    made = models.sound_model()
    part(made).MergeFromString(b"\xf2\x03\x00")  # type: ignore[operator]
    with pytest.raises(ScreeningError, match=f"{says} has the unknown field 62"):
        check_onnx(made.SerializeToString())


def test_an_operator_set_of_another_domain_is_refused():
    made = models.sound_model()
    made.opset_import.add(domain="com.microsoft", version=1)
    with pytest.raises(ScreeningError, match=r"com\.microsoft"):
        check_onnx(made.SerializeToString())


def test_functions_are_refused():
    made = models.sound_model()
    made.functions.add().name = "sneaky"
    with pytest.raises(ScreeningError, match="functions"):
        check_onnx(made.SerializeToString())


def test_sparse_and_attribute_tensors_are_looked_into():
    made = models.sound_model()
    made.graph.sparse_initializer.add()
    with pytest.raises(ScreeningError, match="sparse"):
        check_onnx(made.SerializeToString())
    made = models.sound_model()
    attribute = made.graph.node[0].attribute.add()
    attribute.name, attribute.type = "value", 4
    attribute.t.data_location = 1
    with pytest.raises(ScreeningError, match="another file"):
        check_onnx(made.SerializeToString())


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 64, b"\x3a\x05\x0a", b"\x3a\x00", bytes(MAX_MODEL_BYTES + 1)])
def test_what_is_no_model_is_refused(data: bytes):
    with pytest.raises(ScreeningError):
        check_onnx(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(data: bytes):
    try:
        check_onnx(data)
    except ScreeningError:
        return


@given(place=st.integers(0, len(SOUND) - 1), value=st.integers(0, 255))
def test_a_flipped_byte_never_escapes_the_check(place: int, value: int):
    spoilt = SOUND[:place] + bytes([value]) + SOUND[place + 1 :]
    try:
        contents = check_onnx(spoilt)
    except ScreeningError:
        return
    assert contents.operators


@given(st.integers(1, len(SOUND) - 1))
def test_a_cut_file_never_escapes_the_check(length: int):
    try:
        check_onnx(SOUND[:length])
    except ScreeningError:
        return
