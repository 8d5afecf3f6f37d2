"""What is inside an ONNX file, read from its bytes alone: operators and whether it stands by itself.

The model is data from outside the program until it is proved otherwise: before the runtime sees it, every operator must be on the
allow-list, no weight may lie in another file, and there may be no functions, loops, branches or custom operator domains. This reading must
never see less than the runtime's: a field whose number is not known here, or is written in an unusual way, refuses the file. Field
numbers are those of `onnx.proto` (ONNX 1.23): ModelProto 7 graph, 8 opset_import, 25 functions; GraphProto 1 node, 5 initializer,
15 sparse_initializer; NodeProto 4 op_type, 5 attribute, 7 domain; AttributeProto 5 t, 6 g, 10 tensors, 11 graphs, 22/23 sparse tensors;
TensorProto 1 dims, 2 data_type, 8 name, 9 raw_data, 13 external_data, 14 data_location.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from station.domain.errors import ScreeningError

ALLOWED_OPERATORS = frozenset(
    {
        "Add",
        "AveragePool",
        "Conv",
        "Flatten",
        "Mul",
        "ReduceMean",
        "Relu",
        "Resize",
        "Sigmoid",
        "Slice",
        "TopK",
    }
)
MAX_MODEL_BYTES = 8 * 1024 * 1024

_FORBIDDEN_PARTS = {20: "training graphs", 25: "functions of its own"}
_KNOWN_PARTS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14})
_KNOWN_IN_GRAPH = frozenset({1, 2, 5, 10, 11, 12, 13, 14, 16})
_KNOWN_IN_NODE = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9})
_KNOWN_IN_ATTRIBUTE = frozenset({1, 2, 3, 4, 5, 7, 8, 9, 10, 13, 20, 21})
_KNOWN_IN_TENSOR = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16})
_FLATBUFFER_MARK = b"ORTM"
"""At byte 4 of the runtime's own format, which it would recognise by itself and which this reading does not understand."""

Value = int | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxContents:
    """Operators used and how many nodes there are."""

    operators: frozenset[str]
    nodes: int


def _refuse(why: str) -> ScreeningError:
    return ScreeningError(f"model: {why}", consequence="it is not loaded; every piece is held", remedy="install the released model again")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        if at >= len(data) or shift > 63:  # noqa: PLR2004 - a varint has at most ten bytes
            raise _refuse("the file is cut short or is no ONNX file")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7


def _fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """Field number and value (int for varints, bytes otherwise) of one protobuf message."""
    at = 0
    while at < len(data):
        began = at
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        # another reader may cut a key of more than 32 bits down to a number that it knows
        if not number or key >> 32 or at - began > -(-key.bit_length() // 7):
            raise _refuse("the file is written in an unusual way")
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:  # noqa: PLR2004 - protobuf wire type: length-delimited
            size, at = _varint(data, at)
        elif wire in {1, 5}:
            size = 8 if wire == 1 else 4
        else:
            raise _refuse("the file is no ONNX file")
        if size > len(data) - at:
            raise _refuse("the file is cut short or is no ONNX file")
        yield number, data[at : at + size]
        at += size


def _message(value: Value) -> memoryview:
    if isinstance(value, int):
        raise _refuse("the file is no ONNX file")
    return value


def _text(value: Value) -> str:
    return bytes(_message(value)).decode("utf-8", "replace")


def _check_known(number: int, known: frozenset[int], where: str) -> None:
    if number not in known:
        raise _refuse(f"{where} has the unknown field {number}")


def _check_tensor(tensor: memoryview) -> None:
    for number, value in _fields(tensor):
        _check_known(number, _KNOWN_IN_TENSOR | {13}, "a tensor")
        if number == 13 or (number == 14 and value != 0):  # noqa: PLR2004 - see the module's field numbers
            raise _refuse("its weights lie in another file")


def _check_attribute(attribute: memoryview) -> None:
    for number, value in _fields(attribute):
        if number in {6, 11}:
            raise _refuse("it holds a graph within a graph")
        if number in {22, 23}:
            raise _refuse("it holds sparse tensors")
        _check_known(number, _KNOWN_IN_ATTRIBUTE, "an attribute")
        if number in {5, 10}:
            _check_tensor(_message(value))


def _node_operator(node: memoryview) -> str:
    operator = ""
    for number, value in _fields(node):
        _check_known(number, _KNOWN_IN_NODE, "a node")
        if number == 4:  # noqa: PLR2004
            operator = _text(value)
        elif number == 7 and _text(value) not in {"", "ai.onnx"}:  # noqa: PLR2004
            raise _refuse(f"it uses the operator domain {_text(value)!r}")
        elif number == 5:  # noqa: PLR2004
            _check_attribute(_message(value))
    return operator


def _graph_operators(graph: memoryview) -> list[str]:
    operators = []
    for number, value in _fields(graph):
        if number == 1:
            operators.append(_node_operator(_message(value)))
        elif number == 5:  # noqa: PLR2004
            _check_tensor(_message(value))
        elif number == 15:  # noqa: PLR2004
            raise _refuse("it holds sparse tensors")
        else:
            _check_known(number, _KNOWN_IN_GRAPH, "the graph")
    return operators


def _check_operator_set(operator_set: memoryview) -> None:
    for number, value in _fields(operator_set):
        if number == 1 and _text(value) not in {"", "ai.onnx"}:
            raise _refuse(f"it uses the operator domain {_text(value)!r}")


def float_weights(model: memoryview, name: str) -> memoryview:
    """Bytes of the one float32 weight of that name, a part of `model`: what is written there changes the model.

    Raises:
        ScreeningError: there is no such weight, there are several, or it is stored in another way than as raw float32.
    """
    found: list[memoryview] = []
    graphs = (_message(value) for number, value in _fields(model) if number == 7)  # noqa: PLR2004 - see the module's field numbers
    for graph in graphs:
        for number, value in _fields(graph):
            if number != 5:  # noqa: PLR2004
                continue
            fields = list(_fields(_message(value)))
            if [_text(one) for at, one in fields if at == 8] != [name]:  # noqa: PLR2004
                continue
            raw = [_message(one) for at, one in fields if at == 9]  # noqa: PLR2004
            others = {at for at, _ in fields} - {1, 2, 8, 9}
            if len(raw) != 1 or others or [one for at, one in fields if at == 2] != [1]:  # noqa: PLR2004
                raise _refuse(f"its weight {name!r} is not stored as raw float32")
            found += raw
    if len(found) != 1:
        raise _refuse(f"it has {len(found)} weights {name!r}")
    return found[0]


def check_onnx(data: bytes) -> OnnxContents:
    """Read and judge a model file.

    Raises:
        ScreeningError: too large, not ONNX, an operator that is not allowed, or not self-contained.
    """
    if len(data) > MAX_MODEL_BYTES:
        raise _refuse(f"the file has {len(data)} bytes, more than {MAX_MODEL_BYTES}")
    if data[4:8] == _FLATBUFFER_MARK:
        raise _refuse("the file is in the runtime's own format")
    operators: list[str] = []
    graphs = 0
    for number, value in _fields(memoryview(data)):
        if number in _FORBIDDEN_PARTS:
            raise _refuse(f"it holds {_FORBIDDEN_PARTS[number]}")
        _check_known(number, _KNOWN_PARTS, "the model")
        if number == 8:  # noqa: PLR2004
            _check_operator_set(_message(value))
        if number == 7:  # noqa: PLR2004 - see the module's field numbers
            graphs += 1
            operators += _graph_operators(_message(value))
    if graphs != 1 or not operators:
        raise _refuse("the file holds no model")
    if strange := sorted(set(operators) - ALLOWED_OPERATORS):
        raise _refuse(f"operator {strange[0]!r} is not allowed")
    return OnnxContents(operators=frozenset(operators), nodes=len(operators))
