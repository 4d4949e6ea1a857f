"""What an export is made of: a bill of materials in CycloneDX 1.6, with the model's own facts.

Source: ECMA-424, CycloneDX 1.6; ``modelCard`` is of its machine-learning model components.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from lenet_export import __version__, bundled
from lenet_export.files import hashes_of
from lenet_export.outputs.options import Files
from lenet_export.plan import Plan

#: Of the identifiers that are made of hashes.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "lenet-export")


def bill_of(plan: Plan, files: Files, name: str) -> bytes:
    """The bill of an export, the same for the same files.

    Args:
        plan: what the files were printed from.
        files: the generated ones, by name.
        name: of what was exported.
    """
    hashes = hashes_of(files)
    serial = uuid.uuid5(NAMESPACE, " ".join(hashes.values()))
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [
                    {"type": "application", "name": "lenet-export", "version": __version__}
                ]
            },
            "component": {
                "type": "firmware",
                "bom-ref": "c",
                "name": next(iter(files)).rpartition(".")[0],
                "version": plan.model_id[:12],
                "description": f"{name} as C for {plan.cpu}: no dependency, no library",
                "licenses": [{"license": {"id": "0BSD"}}],
                "components": [_file(file, of) for file, of in hashes.items()],
            },
        },
        "components": [_model(plan, name)],
        "dependencies": [{"ref": "c", "dependsOn": ["model"]}, {"ref": "model"}],
    }
    return (json.dumps(bill, indent=1, allow_nan=False) + "\n").encode()


def _file(name: str, of: str) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": of}]
    return {"type": "file", "bom-ref": name, "name": name, "hashes": hashes}


def _model(plan: Plan, name: str) -> dict[str, Any]:
    """The network whose numbers are in the C."""
    info = plan.model.info
    parameters: dict[str, Any] = {
        "task": "image classification",
        "modelArchitecture": str(info.get("arch", "own")),
        "inputs": [{"format": "x".join(map(str, plan.input_shape)) + " bytes"}],
        "outputs": [{"format": f"{plan.outputs} logits, {plan.logit_dtype.name}"}],
    }
    data = {key: info[key] for key in ("dataset", "dataset_sha256") if key in info}
    if data:
        dataset = {"type": "dataset", "name": str(data["dataset"])}
        if "dataset_sha256" in data:
            dataset["description"] = f"SHA-256 {data['dataset_sha256']}"
        parameters["datasets"] = [dataset]
    metrics = [
        {
            "type": "accuracy, when trained",
            "value": str(info[f"{split}_accuracy"]),
            "slice": f"{split} images",
        }
        for split in ("validation", "test")
        if f"{split}_accuracy" in info
    ]
    card: dict[str, Any] = {"modelParameters": parameters}
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    # Of a user's own nothing is known here.
    licences = [{"license": {"id": "MIT"}}] if bundled.titled(name) else None
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": name,
        **({"licenses": licences} if licences else {}),
        "version": plan.model_id[:12],
        "properties": [{"name": "lenet-export:model_id", "value": plan.model_id}],
        "modelCard": card,
    }
