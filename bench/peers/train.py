"""What Hugging Face's DeepseekV3ForCausalLM reaches at the shapes train_* of the shared bench-shapes.json: training tokens/s (fp32,
grouped_mm experts, fused AdamW) and rollout tokens/s, 16 at once and alone, on two threads. The other side of `npm run bench --
training`. Prints one JSON line per figure. Where torch and transformers cannot be imported it says so and measures nothing.

    python3 bench/peers/train.py [S M mini]
"""
import json
import pathlib
import sys
import time

try:
    import torch
    import transformers
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM
except ImportError as error:
    print(f"train.py: nothing was measured: {error}", file=sys.stderr)
    sys.exit(0)

torch.set_num_threads(2)
torch.manual_seed(1)
SHAPES = json.loads((pathlib.Path(__file__).parents[3] / "shared" / "bench-shapes.json").read_text())


def model_of(s):
    config = DeepseekV3Config(
        vocab_size=s["vocab"], hidden_size=s["hidden"], intermediate_size=s["dense_ffn"],
        moe_intermediate_size=s["expert_ffn"], num_hidden_layers=s["layers"], num_attention_heads=s["heads"],
        num_key_value_heads=s["heads"], n_shared_experts=s["shared"], n_routed_experts=s["experts"],
        num_experts_per_tok=s["top_k"], n_group=1, topk_group=1, routed_scaling_factor=1.0,
        first_k_dense_replace=s["dense_layers"], kv_lora_rank=s["kv_lora_rank"], q_lora_rank=None,
        qk_nope_head_dim=s["qk_nope"], qk_rope_head_dim=s["qk_rope"], v_head_dim=s["v"],
        max_position_embeddings=512, bos_token_id=0, eos_token_id=1, pad_token_id=0,
    )
    config._experts_implementation = "grouped_mm"
    return DeepseekV3ForCausalLM(config).float()


def best(run, rounds):
    run()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def say(name, value):
    about = f"torch {torch.__version__}, transformers {transformers.__version__}, 2 threads"
    print(json.dumps({"name": name, "value": round(value, 1), "unit": "tokens/s", "with": about}), flush=True)


for name in sys.argv[1:] or ["S", "M", "mini"]:
    shape = SHAPES[f"train_{name}"]
    model = model_of(shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids = torch.randint(2, shape["vocab"], (shape["batch"], shape["seq"]))

    def step():
        model.train()
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    say(f"training {name}", ids.numel() / best(step, 4))
    model.eval()
    for together, label in ((16, f"rollouts {name}, 16 at once"), (1, f"rollout {name}, alone")):
        prompt = torch.randint(2, shape["vocab"], (together, 16))

        def rollout():
            with torch.no_grad():
                model.generate(prompt, do_sample=True, max_new_tokens=128, min_new_tokens=128,
                               attention_mask=torch.ones_like(prompt))

        say(label, together * 128 / best(rollout, 2))
