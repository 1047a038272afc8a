"""How code of Transformers and vLLM loads models and asks them: parameters, and what ends a text.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from llmrr import paths
from llmrr.errors import LlmrrError
from llmrr.migrate.artefact import Model
from llmrr.migrate.readers import model_folder
from llmrr.migrate.readers.coded_models import CodedModels
from llmrr.migrate.terms.fields import resolved
from llmrr.migrate.values import Call, Unresolved, Value
from llmrr.store.holders import huggingface
from llmrr.store.holders.base import is_folder, json_object, listed

# The tokenizer of GPT-2: https://huggingface.co/openai-community/gpt2/blob/main/config.json;
# DialoGPT, GPT-Neo and GPT-J have the same (their tokenizer_config.json).
_GPT2: Final = re.compile(
    r"(?i)(?:^|/)(?:distil)?gpt2(?:-\w+)*$|/dialogpt-\w+$|/gpt-neo-[\w.]+$|/gpt-j-\w+$|/dialogrpt"
)
_GPT2_END: Final = "<|endoftext|>"
_GPT2_END_ID: Final = 50256
_NAMES: Final = {
    "max_new_tokens": "max_tokens", "repetition_penalty": "repeat_penalty",
    "stop_strings": "stop", "max_model_len": "context_size",
}  # fmt: skip
_ENDS: Final = ("eos_token_id", "pad_token_id")
_NOISE: Final = frozenset({
    *_ENDS, "inputs", "input_ids", "attention_mask", "inputs_embeds", "pixel_values", "streamer",
    "use_cache", "return_dict_in_generate", "output_scores", "tokenizer", "return_full_text",
    "clean_up_tokenization_spaces", "num_workers", "generation_config", "sampling_params",
    "early_stopping", "bos_token_id", "truncation", "padding", "synced_gpus", "return_tensors",
    "skip_special_tokens", "use_tqdm", "prompts", "prompt", "text_inputs", "messages", "images",
    "query", "history", "max_length", "do_sample", "task", "model", "framework", "device",
    "torch_dtype", "dtype", "model_kwargs", "use_fast", "image_processor", "feature_extractor",
    "low_cpu_mem_usage", "attn_implementation", "cache_dir", "local_files_only", "use_safetensors",
    "force_download", "resume_download", "pretrained_model_name_or_path", "model_name", "config",
    "trust_remote_code", "token", "use_auth_token", "hf_token", "revision", "device_map",
    "quantization_config", "load_in_4bit", "load_in_8bit", "load_in_half", "gguf_file", "variant",
    "max_memory", "offload_folder", "ignore_mismatched_sizes", "output_loading_info", "subfolder",
    "gpu_memory_utilization", "enforce_eager", "swap_space", "disable_log_stats", "text",
    "return_dict", "tensor_parallel_size", "pipeline_parallel_size", "quantization", "verbose",
    "download_dir", "max_num_seqs", "model_name_or_path", "model_id", "progress_callback",
    "quantized", "session_options", "callback_function", "output_attentions", "fuse_layers",
    "output_hidden_states", "use_flash_attention_2", "max_num_batched_tokens", "device_type",
    "add_generation_prompt", "tokenizer_mode", "enable_prefix_caching", "served_model_name",
    "mode", "num_gpus", "max_seq_length", "model_file", "model_type", "lib", "hf",
})  # fmt: skip
_INERT: Final[Mapping[str, tuple[Any, ...]]] = {
    "num_beams": (1,), "num_return_sequences": (1,), "no_repeat_ngram_size": (0,), "n": (1,),
    "best_of": (1, None), "length_penalty": (1,), "min_length": (0,), "use_beam_search": (False,),
    "ignore_eos": (False,), "typical_p": (1,), "repetition_penalty": (1,), "top_k": (-1,),
    "presence_penalty": (0,), "frequency_penalty": (0,), "logprobs": (None,), "batch_size": (1,),
}  # fmt: skip
# What a prompt becomes on its way into a model.
_INPUTS: Final = re.compile(r"(?i)inputs?|encod|tok|batch|processor")
_CONFIG: Final = re.compile(r"(?:^|\.)(?:GenerationConfig|SamplingParams)\b")
_SET: Final = re.compile(r"((?:.*\.)?(?:generation_config|gen(?:eration)?_?cfg))\.(\w+)")
_SPREAD: Final = ("device_map", "max_memory", "tensor_parallel_size", "pipeline_parallel_size")
_SMALLER: Final = ("load_in_4bit", "load_in_8bit", "quantization_config", "quantization")


class Generation:
    """Fills in the models of a file."""

    def __init__(self, models: CodedModels) -> None:
        self.models, self.findings = models, models.findings
        self._lengths: list[tuple[Model, Value, int]] = []
        self._read: set[Call] = set()

    def loaded(self, model: Model, call: Call) -> None:
        """What the call that loads a model is told."""
        given = _given(call)
        inner = given.get("model_kwargs")
        stated = {**given, **(inner if isinstance(inner, dict) else {})}
        line, warn = call.line, self.findings.warn
        for name in _SPREAD:
            if (value := stated.get(name)) not in (None, 1, "cpu"):
                said = f"{name} is {_said(value)}: devices are chosen when the model is loaded"
                warn("gpu-split", said, line, name)
        for name in _SMALLER:
            if stated.get(name) not in (None, False):
                said = f"{name}: llmrr takes a quantization of its own when it pulls or converts"
                warn("not-applied", said, line, name)
        if stated.get("trust_remote_code") is True:
            said = "trust_remote_code: code that comes with a model is never run"
            warn("remote-code", said, line, "trust_remote_code")
        for name in ("token", "use_auth_token", "hf_token"):
            if name in stated:
                self.models.token(stated[name], line, name)
        file = stated.get("gguf_file") or stated.get("model_file")  # that of ctransformers
        if isinstance(file, str) and file:
            model.options["file"], model.format = file, "gguf"
        self._put(model, self._with_config(stated, call), line)

    def asked(self, model: Model, call: Call) -> None:
        """What a call that asks is told, in it or in an object that is given along."""
        stated = self._with_config(_given(call), call)
        self._read.add(call)
        if "generate_kwargs" in stated and isinstance(inner := stated.pop("generate_kwargs"), dict):
            stated |= inner
        self._put(model, stated, call.line)
        for one in call.rest:
            if not (_INPUTS.search(one.text) or self._is_text(one.text)):
                said = f"{one.text[:80]} may hold parameters"
                self.findings.warn("unresolved", said, one.line or call.line)

    def _is_text(self, name: str) -> bool:
        """Whether a name holds what a tokenizer gave."""
        code = self.models.document.code
        made = code.names.get(name) if code is not None else None
        while isinstance(made, Call) and made.receiver is not None and made.name == "to":
            made = made.receiver
        return isinstance(made, Call) and "return_tensors" in made.fields

    def _with_config(self, stated: dict[str, Value], call: Call) -> dict[str, Value]:
        """With what a ``GenerationConfig`` that is given along says, and what is set on it."""
        for one in (*call.args, *stated.values()):
            if isinstance(one, Call) and _CONFIG.search(one.callee):
                self._read.add(one)
                told = _given(one)
                for target in one.targets:
                    told |= self._set_on(target)
                stated = {**told, **stated}
        return stated

    def _set_on(self, name: str) -> dict[str, Value]:
        """The attributes that code sets on an object, by their names."""
        code = self.models.document.code
        names = code.names if code is not None else {}
        found = {one.removeprefix(f"{name}."): one for one in names if one.startswith(f"{name}.")}
        return {short: names[one] for short, one in found.items() if "." not in short}

    def told(self, call: Call) -> None:
        """A call of something that is not known, with parameters that only generating takes: they
        are of the only model that there is."""
        stated, found = _given(call), self.findings.models
        if "max_new_tokens" not in stated or call.name == "dict" or len(found) != 1:
            return
        if call in self._read or call in self.models.by_call:
            return
        model = found[0]
        if call.name != "GenerationConfig":
            model.call_sites = sorted({*model.call_sites, call.line})
        self._put(model, stated, call.line)

    def assigned(self, names: Mapping[str, Value]) -> None:
        """What is set on a ``generation_config``: of the model that it belongs to by its name, else
        of the only one that there is. What a call states counts before it."""
        sets: dict[str, dict[str, Value]] = {}
        for name, value in names.items():
            if (found := _SET.fullmatch(name)) and value is not None:
                sets.setdefault(found[1], {})[found[2]] = value
        for at, stated in sets.items():
            made = names.get(at)
            owner = (made.text if isinstance(made, Unresolved) else at).rpartition(".")[0]
            if (model := self._called(owner)) is not None:
                new = {name: one for name, one in stated.items()
                       if _NAMES.get(name, name) not in model.params}  # fmt: skip
                self._put(model, new, model.line or 1)

    def _called(self, target: str) -> Model | None:
        """The model that a name of the code stands for, or the only one."""
        for call, model in self.models.by_call.items():
            if target in call.targets:
                return model
        return self.findings.models[0] if len(self.findings.models) == 1 else None

    def adapter(self, model: Model, adapter: Value, line: int) -> None:
        """A LoRA on a model."""
        path = resolved(adapter, self.findings, "adapter", line)
        if isinstance(path, str) and path:
            model.options["lora"] = path

    def finish(self) -> None:
        """``max_length``, where nothing better is set."""
        for model, value, line in self._lengths:
            if "max_tokens" in model.params:
                continue
            self.models.put(model, {"max_new_tokens": value}, line, names=_NAMES)
            if "max_tokens" in model.params:
                said = "max_length counts the prompt too; it was taken for max_tokens"
                self.findings.warn("max-length-is-total", said, line, "max_length")

    def _put(self, model: Model, stated: dict[str, Value], line: int) -> None:
        for name in _ENDS:
            if stated.get(name) is not None:
                self._end(model, stated[name], name, line)
        if stated.get("max_length") is not None:
            self._lengths.append((model, stated["max_length"], line))
        if stated.get("do_sample") is False:
            for name in ("temperature", "top_p", "top_k"):
                stated.pop(name, None)
            stated["temperature"] = 0
            off = "do_sample is off: the temperature is 0"
            self.findings.warn("greedy", off, line, "do_sample")
        if isinstance(spread := stated.get("..."), Unresolved) and _INPUTS.search(spread.text):
            stated = {name: value for name, value in stated.items() if name != "..."}
        kept = {
            name: value for name, value in stated.items() if name not in _NOISE
            and not (name in _INERT and _is_in(value, _INERT[name]))
        }  # fmt: skip
        self.models.put(model, kept, line, names=_NAMES)

    def _end(self, model: Model, value: Value, name: str, line: int) -> None:
        """The token that ends a text, as the text that stops."""
        values = value if isinstance(value, list) else [value]
        for one in values:
            text = self._token(model, one, name)
            if text is None:
                if not (name == "pad_token_id" and isinstance(one, Unresolved)):
                    said = f"{name} is a token whose text only the tokenizer of the model knows"
                    self.findings.warn("unresolved", said, line, name)
                continue
            before = model.params.get("stop", [])
            if text not in before:
                model.params["stop"] = [*before, text]

    def _token(self, model: Model, value: Value, name: str) -> str | None:
        folder = self._folder(model)
        gpt2 = _GPT2.search(model.source.partition(":")[2])
        if isinstance(value, int) and not isinstance(value, bool):
            if folder and (found := _of_id(folder, value)):
                return found
            return _GPT2_END if gpt2 and value == _GPT2_END_ID else None
        said = value.text if isinstance(value, Unresolved | Call) else ""
        if not re.search(r"(?:eos|eot|end)_token_id\b|convert_tokens_to_ids|eosTokenId", said):
            return None
        if named := re.search(r"convert_tokens_to_ids\(\s*['\"]([^'\"]+)['\"]\s*\)", said):
            return named[1]
        if folder and (text := model_folder.end_of_text(folder)):
            return text
        return _GPT2_END if gpt2 else None

    def _folder(self, model: Model) -> Path | None:
        """Where the files of a model lie: beside the code, or in the cache of the hub."""
        provider, _, rest = model.source.partition(":")
        if provider == "file":
            top = self.models.document.real.parent
            path = top / rest
            inside = path.resolve().is_relative_to(top.resolve())
            return path if inside and is_folder(path) else None
        cache = paths.hub_cache_dir() / f"models--{rest.partition(':')[0].replace('/', '--')}"
        return huggingface.current(cache, listed(cache / "snapshots").folders)


def _given(call: Call) -> dict[str, Value]:
    """What is told by name: keywords, and the object at the end of JavaScript's arguments."""
    last = call.args[-1] if call.args else None
    is_object = isinstance(last, dict) and "role" not in last
    return {**(last if is_object and isinstance(last, dict) else {}), **call.fields}


def _is_in(value: Value, usual: tuple[Any, ...]) -> bool:
    return not isinstance(value, list | dict | Call) and value in usual


def _said(value: Value) -> str:
    return value.text[:60] if isinstance(value, Unresolved | Call) else str(value)[:60]


def _of_id(folder: Path, number: int) -> str | None:
    try:
        table = json_object(folder / "tokenizer_config.json", 20_000_000)
    except LlmrrError:
        return None
    added = table.get("added_tokens_decoder")
    found = added.get(str(number)) if isinstance(added, dict) else None
    text = found.get("content") if isinstance(found, dict) else None
    return text if isinstance(text, str) else None
