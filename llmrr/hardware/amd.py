"""AMD GPUs on Linux: the files of the amdgpu and amdkfd drivers, or what ``rocm-smi`` prints.

Files: the kernel's Documentation/gpu/amdgpu (mem_info_vram_total, mem_info_vram_used) and
/sys/class/kfd/kfd/topology/nodes/*/properties, whose drm_render_minor joins the two.
"""

from pathlib import Path

from llmrr.hardware import files
from llmrr.hardware.facts import Gpu

COMMAND = (
    "rocm-smi", "--showproductname", "--showmeminfo", "vram", "--showdriverversion", "--json",
)  # fmt: skip
VENDOR = "0x1002"


def read(*, thorough: bool = False, root: Path = Path("/")) -> tuple[Gpu, ...]:
    """The GPUs that sysfs lists; if ``thorough`` and it lists none, those of ``rocm-smi``."""
    found = tuple(
        gpu
        for card in sorted((root / "sys/class/drm").glob("card[0-9]*"))
        if "-" not in card.name and (gpu := _card(card / "device", root)) is not None
    )
    if not found and thorough and (root / "dev/kfd").exists():
        return parse(_smi())
    return found


def parse(text: str) -> tuple[Gpu, ...]:
    """What ``rocm-smi … --json`` prints. Its keys change case between versions."""
    import json

    try:
        cards = json.loads(text)
    except ValueError:
        return ()
    driver = _lower(cards.get("system")).get("driver version")
    gpus = []
    for name, card in cards.items():
        if not name.startswith("card"):
            continue
        facts = _lower(card)
        total = _number(facts.get("vram total memory (b)"))
        used = _number(facts.get("vram total used memory (b)"))
        gpus.append(
            Gpu(
                vendor="amd",
                source="rocm-smi",
                name=facts.get("card series"),
                total_bytes=total,
                free_bytes=total - used if total is not None and used is not None else None,
                compute=facts.get("gfx version"),
                driver=driver,
            )
        )
    return tuple(gpus)


def target(version: int) -> str | None:
    """The compiler's name of a ``gfx_target_version``: decimal major, minor, hexadecimal stepping.

    >>> target(110000), target(90010), target(0)
    ('gfx1100', 'gfx90a', None)
    """
    if version < 10_000:
        return None
    return f"gfx{version // 10_000}{version // 100 % 100}{version % 100:x}"


def _card(device: Path, root: Path) -> Gpu | None:
    """The GPU behind a DRM card; ``None`` for another maker's."""
    if files.line(device / "vendor") != VENDOR:
        return None
    total = _number(files.line(device / "mem_info_vram_total"))
    used = _number(files.line(device / "mem_info_vram_used"))
    minor = next((path.name[7:] for path in (device / "drm").glob("renderD*")), None)
    node = _node(root, minor)
    return Gpu(
        vendor="amd",
        source="sysfs",
        name=files.line(device / "product_name") or None,
        total_bytes=total,
        free_bytes=total - used if total is not None and used is not None else None,
        compute=target(node.get("gfx_target_version", 0)),
        driver=files.line(root / "sys/module/amdgpu/version") or None,
    )


def _node(root: Path, minor: str | None) -> dict[str, int]:
    """The compute node that renders through ``/dev/dri/renderD<minor>``; empty without one."""
    for path in (root / "sys/class/kfd/kfd/topology/nodes").glob("*/properties"):
        properties = files.numbers(files.text(path))
        if minor and str(properties.get("drm_render_minor")) == minor:
            return properties
    return {}


def _smi() -> str:
    import subprocess

    try:
        return subprocess.run(
            COMMAND, capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _lower(card: object) -> dict[str, str]:
    pairs = card.items() if isinstance(card, dict) else ()
    return {str(key).lower(): str(value) for key, value in pairs if value not in ("N/A", "")}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
