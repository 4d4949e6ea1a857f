"""A checkpoint's float network in other runtimes: LiteRT, onnxruntime, JAX jit; one thread each.

Both model files are written here from the checkpoint's own float32 weights, by the formats' public
schemas, so that all runtimes compute the same network. Nothing is trained, converted or optimized
by hand: each runtime does what it does with such a file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export.checkpoint import Model, Stage

Floats = npt.NDArray[np.float32]


class Peer(ABC):
    """A runtime with the network loaded.

    Attributes:
        name: of the runtime, with its version.
    """

    name: str

    @abstractmethod
    def set_image(self, image: npt.NDArray[np.uint8]) -> None:
        """Gives it an image, uint8 ``(rows, columns, channels)``, as it wants it: not timed."""

    @abstractmethod
    def invoke(self) -> Any:
        """Computes the logits: timed."""

    @abstractmethod
    def logits(self) -> Floats:
        """The logits of the last call, ``(classes,)``: not timed."""


class LiteRT(Peer):
    """LiteRT's interpreter; it hands the graph to XNNPACK by itself."""

    def __init__(self, model: Model) -> None:
        """Loads ``model``."""
        import ai_edge_litert
        from ai_edge_litert.interpreter import Interpreter

        self.name = f"LiteRT {ai_edge_litert.__version__}"
        self._interpreter = Interpreter(model_content=tflite_file(model), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self.invoke = self._interpreter.invoke

    def set_image(self, image: npt.NDArray[np.uint8]) -> None:
        """See :class:`Peer`."""
        self._interpreter.set_tensor(self._input, _floats(image))

    def invoke(self) -> None:
        """See :class:`Peer`; the interpreter's own method stands here."""

    def logits(self) -> Floats:
        """See :class:`Peer`."""
        return self._interpreter.get_tensor(self._output)[0]


class OnnxRuntime(Peer):
    """onnxruntime, all graph optimizations, input and output bound beforehand."""

    def __init__(self, model: Model) -> None:
        """Loads ``model``."""
        import onnxruntime

        self.name = f"onnxruntime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self._session = onnxruntime.InferenceSession(
            onnx_file(model), options, providers=["CPUExecutionProvider"]
        )
        self._binding = self._session.io_binding()
        self._binding.bind_output("logits")
        self._value = onnxruntime.OrtValue

    def set_image(self, image: npt.NDArray[np.uint8]) -> None:
        """See :class:`Peer`."""
        channels_first = np.ascontiguousarray(np.moveaxis(_floats(image), 3, 1))
        self._binding.bind_ortvalue_input("image", self._value.ortvalue_from_numpy(channels_first))

    def invoke(self) -> None:
        """See :class:`Peer`."""
        self._session.run_with_iobinding(self._binding)

    def logits(self) -> Floats:
        """See :class:`Peer`."""
        return self._binding.get_outputs()[0].numpy()[0]


class JaxJit(Peer):
    """The float network under jax.jit, the weights closed over."""

    def __init__(self, model: Model) -> None:
        """Compiles ``model``."""
        import jax
        import jax.numpy as jnp

        from lenet_export.float_network import float_network

        self.name = f"JAX {jax.__version__} jit"
        last = model.stages[-1].name
        self._run = jax.jit(lambda image: float_network(model, image)[last][1])
        self._put = jnp.asarray

    def set_image(self, image: npt.NDArray[np.uint8]) -> None:
        """See :class:`Peer`."""
        self._image = self._put(_floats(image))

    def invoke(self) -> None:
        """See :class:`Peer`."""
        self._logits = self._run(self._image).block_until_ready()

    def logits(self) -> Floats:
        """See :class:`Peer`."""
        return np.asarray(self._logits)[0]


PEERS: tuple[type[Peer], ...] = (LiteRT, OnnxRuntime, JaxJit)


def _floats(image: npt.NDArray[np.uint8]) -> Floats:
    return (image[None] / np.float32(255)).astype(np.float32)


def _weights(model: Model, stage: Stage) -> tuple[Floats, Floats]:
    """A layer's weights with the outputs first (``OHWI``, ``OI``), and its bias."""
    kernel = model.params[f"{stage.name}/kernel"]
    outputs_first = np.ascontiguousarray(np.moveaxis(kernel, -1, 0), np.float32)
    return outputs_first, np.asarray(model.params[f"{stage.name}/bias"], np.float32)


def tflite_file(model: Model) -> bytes:
    """The network as a ``.tflite`` file: float32, NHWC, one image, logits out."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.BuiltinOperator
    tensors: list[Any] = []
    operators: list[Any] = []
    codes: list[Any] = []
    buffers = [schema.BufferT()]  # buffer 0 is empty: the data of what is computed

    def tensor(name: str, shape: tuple[int, ...], values: npt.NDArray[Any] | None = None) -> int:
        new = schema.TensorT()
        new.name, new.shape, new.buffer = name, list(shape), 0
        is_int = values is not None and values.dtype == np.int32
        new.type = schema.TensorType.INT32 if is_int else schema.TensorType.FLOAT32
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            new.buffer = len(buffers)
            buffers.append(buffer)
        tensors.append(new)
        return len(tensors) - 1

    def operator(kind: int, inputs: list[int], output: int, options: Any = None) -> int:
        if kind not in [code.builtinCode for code in codes]:
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = kind
            code.version = 1
            codes.append(code)
        new = schema.OperatorT()
        new.opcodeIndex = [code.builtinCode for code in codes].index(kind)
        new.inputs, new.outputs = inputs, [output]
        if options is not None:
            new.builtinOptions = options
            name = type(options).__name__.removesuffix("T")
            new.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        operators.append(new)
        return output

    shape: tuple[int, ...] = model.input_shape
    x = image = tensor("image", (1, *shape))
    for stage in model.stages:
        weight, bias = _weights(model, stage)
        parameters = [
            tensor(f"{stage.name}/weight", weight.shape, weight),
            tensor(f"{stage.name}/bias", bias.shape, bias),
        ]
        if stage.kind == "conv":
            shape = stage.conv_shape(shape)
            conv = schema.Conv2DOptionsT()
            conv.strideW = conv.strideH = 1
            conv.padding = getattr(schema.Padding, stage.padding)
            y = tensor(stage.name, (1, *shape))
            x = operator(kinds.CONV_2D, [x, *parameters], y, conv)
        else:
            if len(shape) > 1:
                flat = np.array([1, np.prod(shape)], np.int32)
                y = tensor(f"{stage.name}/flat", tuple(map(int, flat)))
                to = tensor(f"{stage.name}/shape", (2,), flat)
                x = operator(kinds.RESHAPE, [x, to], y, schema.ReshapeOptionsT())
            shape = (stage.features,)
            y = tensor(stage.name, (1, *shape))
            x = operator(
                kinds.FULLY_CONNECTED, [x, *parameters], y, schema.FullyConnectedOptionsT()
            )
        if stage.activation != "none":
            kind = {"sigmoid": kinds.LOGISTIC, "relu": kinds.RELU}[stage.activation]
            x = operator(kind, [x], tensor(f"{stage.name}/{stage.activation}", (1, *shape)))
        if stage.pool != "none":
            kind = {"avg": kinds.AVERAGE_POOL_2D, "max": kinds.MAX_POOL_2D}[stage.pool]
            pool, size = schema.Pool2DOptionsT(), stage.pool_size
            pool.padding = schema.Padding.VALID
            pool.strideW = pool.strideH = pool.filterWidth = pool.filterHeight = size
            shape = (shape[0] // size, shape[1] // size, shape[2])
            x = operator(kind, [x], tensor(f"{stage.name}/{stage.pool}", (1, *shape)), pool)

    graph = schema.SubGraphT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = tensors, operators, [image], [x]
    whole = schema.ModelT()
    whole.version, whole.operatorCodes, whole.subgraphs, whole.buffers = 3, codes, [graph], buffers
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def onnx_file(model: Model) -> bytes:
    """The network as an ``.onnx`` file: float32, NCHW, one image, logits out."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes, constants = [], []
    rows, columns, channels = shape = model.input_shape
    x = "image"
    for stage in model.stages:
        weight, bias = _weights(model, stage)
        names = [x, f"{stage.name}/weight", f"{stage.name}/bias"]
        if stage.kind == "conv":
            weight = np.moveaxis(weight, 3, 1)
            pad = "SAME_UPPER" if stage.padding == "SAME" else "VALID"
            nodes.append(helper.make_node("Conv", names, [stage.name], auto_pad=pad))
        else:
            if len(shape) > 1:
                # The values arrive channel by channel; the weights are put into that order.
                weight = np.moveaxis(weight.reshape(-1, *shape), 3, 1).reshape(stage.features, -1)
                nodes.append(helper.make_node("Flatten", [x], [f"{stage.name}/flat"]))
                names[0] = f"{stage.name}/flat"
            nodes.append(helper.make_node("Gemm", names, [stage.name], transB=1))
        constants += [
            numpy_helper.from_array(np.ascontiguousarray(weight), names[1]),
            numpy_helper.from_array(bias, names[2]),
        ]
        shape, x = stage.output_shape(shape), stage.name
        if stage.activation != "none":
            kind = {"sigmoid": "Sigmoid", "relu": "Relu"}[stage.activation]
            nodes.append(helper.make_node(kind, [x], [f"{stage.name}/{stage.activation}"]))
            x = f"{stage.name}/{stage.activation}"
        if stage.pool != "none":
            kind = {"avg": "AveragePool", "max": "MaxPool"}[stage.pool]
            window = [stage.pool_size] * 2
            nodes.append(
                helper.make_node(
                    kind, [x], [f"{stage.name}/pool"], kernel_shape=window, strides=window
                )
            )
            x = f"{stage.name}/pool"
    nodes[-1].output[0] = "logits"
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, rows, columns])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, *shape])
    graph = helper.make_graph(nodes, "lenet", [image], [logits], constants)
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(whole)
    return whole.SerializeToString()
