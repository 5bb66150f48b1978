/* Log-probabilities of targets and their gradients, a chunk of rows at a time: the chunk's logits come from the linear kernel, live
 * in scratch, and are gone when the next chunk begins. Chunks are cut by the scratch's row count, which depends on the vocabulary
 * alone, so a row's bits do not depend on the others. Also the policy-gradient loss over log-probabilities. */
#include "simd.h"
#include "weir.h"

/* Most tokens that a row may be restricted to; loss.ts refuses more. */
#define WEIR_KEPT 32

#define F(t) ((float *)(t)->data)
#define I(t) ((int32_t *)(t)->data)

void WEIR_PASTE(weir_op_linear, WEIR_ISA)(const weir_call *c);
void WEIR_PASTE(weir_op_linear_dx, WEIR_ISA)(const weir_call *c);
void WEIR_PASTE(weir_op_linear_dw, WEIR_ISA)(const weir_call *c);

static weir_tensor matrix(float *data, int64_t rows, int64_t columns) {
  weir_tensor t = {data, WEIR_F32, 2, {rows, columns, 1, 1}};
  return t;
}

/* Everybody meets, one thread clears the work counters, everybody goes on. */
static void next_phase(const weir_call *c) {
  weir_barrier(c);
  if (c->tid == 0)
    for (int i = 0; i < WEIR_COUNTERS; i++) c->counter[i] = 0;
  weir_barrier(c);
}

static void call(const weir_call *c, weir_kernel_fn kernel, const weir_tensor *a, const weir_tensor *b, const weir_tensor *y) {
  const weir_tensor *in[4] = {a, b, NULL, NULL}, *out[1] = {y};
  weir_call sub = *c;
  sub.in = in;
  sub.out = out;
  sub.nin = 4;
  sub.nout = 1;
  kernel(&sub);
}

/* ln Σ exp(s·z) of a row, and Σ p·s·z where asked. */
static float row_lse(const float *z, int64_t n, float s, float *mean) {
  vf best = vf_set1(-3.0e38f), scale = vf_set1(s);
  int64_t i = 0;
  for (; i + VF <= n; i += VF) best = vf_max(vf_mul(vf_load(z + i), scale), best);
  float top = vf_hmax(best);
  for (; i < n; i++) top = z[i] * s > top ? z[i] * s : top;
  vf sum = vf_zero(), weighted = vf_zero(), shift = vf_set1(top);
  for (i = 0; i + VF <= n; i += VF) {
    vf d = vf_sub(vf_mul(vf_load(z + i), scale), shift), e = vf_exp(d);
    sum = vf_add(sum, e);
    weighted = vf_fma(e, d, weighted);
  }
  float total = vf_sum(sum), moment = vf_sum(weighted);
  for (; i < n; i++) {
    float d = z[i] * s - top, e = weir_exp(d);
    total += e;
    moment += e * d;
  }
  if (mean) *mean = top + moment / total;
  return top + weir_log(total);
}

/* The same over the tokens a row was sampled from: kept [most], ended by -1. */
static float kept_lse(const float *z, const int32_t *kept, int64_t most, float s, float *mean) {
  float top = -3.0e38f, total = 0, moment = 0;
  for (int64_t k = 0; k < most && kept[k] >= 0; k++) top = z[kept[k]] * s > top ? z[kept[k]] * s : top;
  for (int64_t k = 0; k < most && kept[k] >= 0; k++) {
    float d = z[kept[k]] * s - top, e = weir_exp(d);
    total += e;
    moment += e * d;
  }
  *mean = top + moment / total;
  return top + weir_log(total);
}

WEIR_KERNEL(logprob) {
  const weir_tensor *w = c->in[1];
  const int32_t *targets = I(c->in[2]), *kept = c->in[3] ? I(c->in[3]) : NULL;
  int64_t most = kept ? c->in[3]->dim[1] : 0;
  float *logp = F(c->out[0]), *lse = F(c->out[1]), *entropy = F(c->out[2]), *logits = F(c->out[3]), s = c->f[0];
  int64_t rows = c->in[0]->dim[0], width = c->in[0]->dim[1], vocab = w->dim[0], chunk = c->out[3]->dim[0];
  for (int64_t r0 = 0; r0 < rows; r0 += chunk) {
    int64_t n = rows - r0 < chunk ? rows - r0 : chunk, begin, end;
    weir_tensor x = matrix(F(c->in[0]) + r0 * width, n, width), z = matrix(logits, n, vocab);
    if (r0) next_phase(c);
    call(c, WEIR_PASTE(weir_op_linear, WEIR_ISA), &x, w, &z);
    weir_barrier(c);
    weir_range(c, n, 1, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
      const int32_t *of = kept && kept[(r0 + r) * most] >= 0 ? kept + (r0 + r) * most : NULL;
      float mean, l = of ? kept_lse(logits + r * vocab, of, most, s, &mean) : row_lse(logits + r * vocab, vocab, s, &mean);
      lse[r0 + r] = l;
      logp[r0 + r] = logits[r * vocab + targets[r0 + r]] * s - l;
      entropy[r0 + r] = l - mean;
    }
  }
}

WEIR_KERNEL(logprob_backward) {
  const float *dlogp = F(c->in[0]), *lse = F(c->in[4]);
  const weir_tensor *w = c->in[2], *dw = c->out[0];
  const int32_t *targets = I(c->in[3]), *kept = c->in[5] ? I(c->in[5]) : NULL;
  int64_t most = kept ? c->in[5]->dim[1] : 0;
  float *logits = F(c->out[2]), s = c->f[0];
  int64_t rows = c->in[1]->dim[0], width = c->in[1]->dim[1], vocab = w->dim[0], chunk = c->out[2]->dim[0];
  for (int64_t r0 = 0; r0 < rows; r0 += chunk) {
    int64_t n = rows - r0 < chunk ? rows - r0 : chunk, begin, end;
    weir_tensor x = matrix(F(c->in[1]) + r0 * width, n, width), dx = matrix(F(c->out[1]) + r0 * width, n, width), z = matrix(logits, n, vocab);
    if (r0) next_phase(c);
    call(c, WEIR_PASTE(weir_op_linear, WEIR_ISA), &x, w, &z);
    weir_barrier(c);
    weir_range(c, n, 1, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
      float *row = logits + r * vocab, d = dlogp[r0 + r] * s;
      const int32_t *of = kept && kept[(r0 + r) * most] >= 0 ? kept + (r0 + r) * most : NULL;
      if (of) {
        float slope[WEIR_KEPT];
        for (int64_t k = 0; k < most && of[k] >= 0; k++) slope[k] = -d * weir_exp(row[of[k]] * s - lse[r0 + r]);
        for (int64_t i = 0; i < vocab; i++) row[i] = 0;
        for (int64_t k = 0; k < most && of[k] >= 0; k++) row[of[k]] = slope[k];
        row[targets[r0 + r]] += d;
        continue;
      }
      vf scale = vf_set1(s), shift = vf_set1(lse[r0 + r]), factor = vf_set1(-d);
      for (int64_t i = 0; i < vocab; i += VF) {
        vf p = vf_exp(vf_sub(vf_mul(vf_load_n(row + i, vocab - i), scale), shift));
        vf_store_n(row + i, vf_mul(p, factor), vocab - i);
      }
      row[targets[r0 + r]] += d;
    }
    next_phase(c);
    call(c, WEIR_PASTE(weir_op_linear_dx, WEIR_ISA), &z, w, &dx);
    next_phase(c);
    call(c, WEIR_PASTE(weir_op_linear_dw, WEIR_ISA), &z, &x, dw);
  }
}
