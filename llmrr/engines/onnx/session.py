"""A graph opened by onnxruntime: its ports, and one run of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr.engines.onnx import ports
from llmrr.engines.onnx.api import CPU, Provider, api, loading, running
from llmrr.engines.onnx.ports import Port
from llmrr.errors import Unsupported
from llmrr.types import ModelInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = Mapping[str, NDArray[Any]]


# How long a thread waits for the next matrix before it sleeps. By itself it is about 100 times as
# long: of two cores that others use too, one is then spent on waiting (2 to 3 times the time). With
# a tenth of this, on two cores that nobody else uses, 135 M weights in 4 bits are a quarter slower.
SPIN_MICROSECONDS: Final = "200"


class Graph:
    """An open graph. Only ``stop`` and ``go_on`` may be called from another thread."""

    def __init__(
        self, path: Path, info: ModelInfo, provider: Provider, threads: int,
        others: Iterable[str] = (),
    ) -> None:  # fmt: skip
        """``others`` are inputs that another graph gives."""
        runtime = api()
        with loading(path):
            self._session = runtime.InferenceSession(
                str(path),
                _session_options(runtime, threads),
                providers=_providers(provider),
                enable_fallback=False,
            )
        self.provider = provider
        if provider.name not in self._session.get_providers():  # its libraries are missing, say
            self.provider = Provider(CPU, "cpu", f"the CPU: {provider.name} could not be loaded")
        self.ports = ports.read(
            [Port(one.name, one.type, one.shape) for one in self._session.get_inputs()],
            [Port(one.name, one.type, one.shape) for one in self._session.get_outputs()],
            info,
            others,
        )
        self._options = runtime.RunOptions()
        self._options.log_severity_level = 4
        self._bound: tuple[list[Any], Any] | None = None
        self._row: Any = None

    def run(
        self,
        values: "Values",
        cached: Mapping[str, Any],
        wanted: Port,
        kept: "Sequence[tuple[str, Any]]" = (),
        *,
        last: bool = False,
    ) -> "tuple[NDArray[Any], list[Any]]":
        """Compute. ``values`` and the OrtValues ``cached`` go in. What comes back is a copy of the
        output ``wanted``, of the last token alone with ``last``, and OrtValues of the outputs
        ``kept``: each a name, and where to write it or None. Raises ``Aborted``, ``EngineFailed``,
        ``DoesNotFit``.
        """
        in_place = any(target is not None for _, target in kept)
        plain = wanted.numpy != "bfloat16"
        read: Callable[[Any], NDArray[Any]] = _numpy
        with running():
            if plain and not in_place and self.provider.name == CPU:
                names = [wanted.name, *(name for name, _ in kept)]
                first, *made = self._run_unbound(values, cached, names)
            else:
                binding = self._binding(cached, wanted, kept)
                for name, value in values.items():
                    binding.bind_cpu_input(name, value)
                if plain and in_place:
                    first, made = self._run_in_place(binding, wanted, values), []
                else:
                    read = _bind_wanted(binding, wanted, values)
                    self._session.run_with_iobinding(binding, self._options)
                    first, *made = binding.get_outputs()
            whole = read(first)  # its memory is that of first
            some = whole[:, -1:] if last and whole.ndim == 3 else whole
            return some.copy(), made

    def _run_in_place(self, binding: Any, wanted: Port, values: "Values") -> Any:
        """Only the output that is wanted is new: of one token it is written over the last one."""
        single = next(iter(values.values())).shape[1] == 1
        if single and self._row is not None:
            binding.bind_ortvalue_output(wanted.name, self._row)
            self._session.run_with_iobinding(binding, self._options)
            made = self._row
        else:
            binding.bind_output(wanted.name, "cpu")
            self._session.run_with_iobinding(binding, self._options)
            made = binding.get_outputs()[0]
        self._row = made if single else self._row
        return made

    def _run_unbound(
        self, values: "Values", cached: Mapping[str, Any], names: Sequence[str]
    ) -> list[Any]:
        """In main memory outputs stay where they are in any case, and a hundred bindings take as
        long as a twentieth of a step of a small model."""
        value = api().OrtValue.ortvalue_from_numpy
        given = {name: value(one) for name, one in values.items()}
        found: list[Any] = self._session.run_with_ort_values(
            names, {**given, **cached}, self._options
        )
        return found

    def _binding(
        self, cached: Mapping[str, Any], wanted: Port, kept: "Sequence[tuple[str, Any]]"
    ) -> Any:
        """What is cached, bound: as it was for the run before, where it is written in place."""
        key = [wanted.name, *(target for _, target in kept), *cached.values()]
        if self._bound is not None and self._bound[0] == key and None not in key:
            return self._bound[1]
        binding = self._session.io_binding()
        for name, value in cached.items():
            binding.bind_ortvalue_input(name, value)
        binding.bind_output(wanted.name, "cpu")  # the first: outputs come in this order
        for name, target in kept:
            if target is None:
                binding.bind_output(name, self.provider.device)
            else:
                binding.bind_ortvalue_output(name, target)
        self._bound = None if None in key else (key, binding)
        return binding

    def stop(self) -> None:
        """Make what runs fail with ``Aborted`` soon."""
        self._options.terminate = True

    def go_on(self) -> None:
        """After ``stop``: run again."""
        self._options.terminate = False

    def close(self) -> None:
        """Free it. Twice is allowed."""
        self._session = self._bound = self._row = None


def _bind_wanted(
    binding: Any, wanted: Port, values: "Values"
) -> "Callable[[Any], NDArray[Any]]":
    """Bind the output that is read, and how to read it: numpy has no bfloat16."""
    if wanted.numpy != "bfloat16":
        binding.bind_output(wanted.name, "cpu")
        return _numpy
    import numpy as np

    sizes = next(iter(values.values())).shape[:2]
    last = wanted.shape[-1]
    if not isinstance(last, int):
        raise Unsupported(f"the graph does not say how wide its {wanted.name} is", "use fp16")
    bits = np.empty((*sizes, last), np.uint16)
    binding.bind_output(
        wanted.name, "cpu", 0, ports.TYPES[wanted.type][1], bits.shape, bits.ctypes.data
    )
    return lambda made: (bits.astype(np.uint32) << 16).view(np.float32)


def _numpy(value: Any) -> "NDArray[Any]":
    """An OrtValue's numbers where they are."""
    found: NDArray[Any] = value.numpy()
    return found


def _session_options(runtime: Any, threads: int) -> Any:
    """No memory patterns: they are planned anew for every length of the cache. No libraries of
    custom operators: a graph is data."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.spin_duration_us", SPIN_MICROSECONDS)
    options.log_severity_level = 4
    return options


def _providers(provider: Provider) -> list[Any]:
    if provider.name == CPU:
        return [CPU]
    stated: dict[str, str] = {}
    if provider.name == "CoreMLExecutionProvider":
        stated["RequireStaticInputShapes"] = "1"  # it compiles anew for every shape it has not seen
    return [(provider.name, stated), CPU]
