"""Proves that Hugging Face transformers loads the model directories Weir writes, unchanged.

    python3 bench/peers/load_with_transformers.py DIRECTORY [DIRECTORY ...]

For each directory: the config is read, the model is built and every tensor loaded (a missing, unexpected or
misshapen one is an error), and where golden.safetensors lies beside it, the logits are compared with it.
Where Python has no transformers or no torch, it says so and ends with status 3.
"""

import os
import sys

try:
    import torch
    import transformers
    from safetensors import safe_open
except ImportError as error:
    print(f"not checked: this Python has no {error.name}; `pip install torch transformers safetensors` adds it")
    sys.exit(3)


def check(directory: str) -> bool:
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, output_loading_info=True
    )
    problems = {key: sorted(value) for key, value in report.items() if value}
    if problems:
        print(f"{directory}: loaded with differences: {problems}")
        return False
    parameters = sum(tensor.numel() for tensor in model.parameters())
    line = f"{directory}: {type(model).__name__}, {parameters} parameters"
    good = True
    golden = os.path.join(directory, "golden.safetensors")
    if os.path.exists(golden):
        with safe_open(golden, "pt") as file:
            ids, expected = file.get_tensor("input_ids"), file.get_tensor("logits")
        with torch.no_grad():
            logits = model.eval()(ids).logits
        error = ((logits - expected).abs().max() / expected.std()).item()
        good = error < 1e-4
        line += f", logits within {error:.1e} of their standard deviation"
    if os.path.exists(os.path.join(directory, "tokenizer.json")):
        tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
        line += f", tokenizer of {len(tokenizer)} tokens: {tokenizer('Weir 堰 123').input_ids}"
    print(line)
    return good


if len(sys.argv) < 2:
    sys.exit(__doc__)
results = [check(directory) for directory in sys.argv[1:]]
sys.exit(0 if all(results) else 1)
