/* Next-token choice. One row is one thread's work; candidates come out of a heap in order of weight, the lower id first among
 * equals, so that truncation never sorts the whole vocabulary. */
#include "simd.h"
#include "weir.h"

#define F(t) ((float *)(t)->data)
#define I(t) ((int32_t *)(t)->data)

static uint32_t mix(uint32_t h) {
  h = (h ^ (h >> 16)) * 0x7feb352du;
  h = (h ^ (h >> 15)) * 0x846ca68bu;
  return h ^ (h >> 16);
}

static float uniform(uint32_t seed, uint32_t counter) {
  return (float)(mix(mix(seed ^ 0x9e3779b9u) + counter * 0x85ebca6bu) >> 8) / 16777216.0f;
}

typedef struct {
  const float *logit;
  int32_t *id;
  int64_t n;
} heap;

static inline int before(const heap *h, int32_t a, int32_t b) { return h->logit[a] > h->logit[b] || (h->logit[a] == h->logit[b] && a < b); }

static void sift(heap *h, int64_t at) {
  int32_t id = h->id[at];
  for (;;) {
    int64_t child = 2 * at + 1;
    if (child >= h->n) break;
    if (child + 1 < h->n && before(h, h->id[child + 1], h->id[child])) child++;
    if (!before(h, h->id[child], id)) break;
    h->id[at] = h->id[child];
    at = child;
  }
  h->id[at] = id;
}

/* Takes the best id off the heap; it lands behind the shrunken heap, so taken ids lie in reverse order at the end of h->id. */
static int32_t pop(heap *h) {
  int32_t top = h->id[0];
  h->id[0] = h->id[--h->n];
  h->id[h->n] = top;
  if (h->n > 0) sift(h, 0);
  return top;
}

WEIR_KERNEL(sample) {
  const float *logits = F(c->in[0]), *parameters = F(c->in[1]);
  const int32_t *counters = I(c->in[2]), *mask = c->in[3] ? I(c->in[3]) : NULL;
  int32_t *ids = I(c->out[0]), *topIds = I(c->out[2]);
  float *logp = F(c->out[1]), *topLogp = F(c->out[3]), *scratch = F(c->out[4]);
  int64_t rows = c->in[0]->dim[0], vocab = c->in[0]->dim[1], words = mask ? c->in[3]->dim[1] : 0;
  int alternatives = c->i[0];
  for (int64_t r; (r = weir_next(c, 0, 1)) < rows;) {
    const float *x = logits + r * vocab;
    float temperature = parameters[r * 4], topP = parameters[r * 4 + 2], minP = parameters[r * 4 + 3];
    int64_t topK = (int64_t)parameters[r * 4 + 1], count = 0;
    float *weight = scratch + r * 2 * vocab;
    heap h = {x, (int32_t *)(scratch + (r * 2 + 1) * vocab), 0};
    int32_t best = -1;
    for (int64_t v = 0; v < vocab; v++) {
      if (mask && !((uint32_t)mask[r * words + (v >> 5)] >> (v & 31) & 1)) continue;
      h.id[count++] = (int32_t)v;
      if (best < 0 || x[v] > x[best]) best = (int32_t)v;
    }
    if (best < 0) {
      ids[r] = 0;
      logp[r] = 0;
      for (int i = 0; i < alternatives; i++) {
        topIds[r * alternatives + i] = -1;
        topLogp[r * alternatives + i] = -__builtin_inff();
      }
      continue;
    }
    float heat = temperature > 0 ? temperature : 1.0f, top = x[best];
    for (int64_t i = 0; i < vocab; i += VF)
      vf_store_n(weight + i, vf_exp(vf_div(vf_sub(vf_load_n(x + i, vocab - i), vf_set1(top)), vf_set1(heat))), vocab - i);
    double total = 0;
    for (int64_t i = 0; i < count; i++) total += weight[h.id[i]];
    int truncated = temperature > 0 && (topK > 0 || topP < 1.0f || minP > 0);
    int64_t kept = count;
    double mass = total;
    int ordered = truncated || alternatives > 0;
    h.n = count;
    if (ordered)
      for (int64_t at = count / 2 - 1; at >= 0; at--) sift(&h, at);
    /* Pop what the truncation keeps; taken ids end up at the back of h.id, the best at count - 1. */
    if (truncated) {
      int64_t most = topK > 0 && topK < count ? topK : count, taken = 0;
      double sum = 0;
      while (taken < most) {
        int32_t id = h.id[0];
        if (taken > 0 && minP > 0 && weight[id] < minP) break;
        if (taken > 0 && topP < 1.0f && sum >= (double)topP * total) break;
        pop(&h);
        sum += weight[id];
        taken++;
      }
      kept = taken;
      mass = sum;
    }
    int32_t chosen = best;
    if (temperature > 0) {
      double target = (double)uniform((uint32_t)counters[r * 2], (uint32_t)counters[r * 2 + 1]) * mass, sum = 0;
      int64_t i = 0;
      if (truncated) {
        chosen = h.id[count - kept];
        for (; i < kept; i++) {
          sum += weight[h.id[count - 1 - i]];
          if (sum > target) {
            chosen = h.id[count - 1 - i];
            break;
          }
        }
      } else {
        for (int64_t v = 0; v < vocab; v++) {
          if (mask && !((uint32_t)mask[r * words + (v >> 5)] >> (v & 31) & 1)) continue;
          chosen = (int32_t)v;
          sum += weight[v];
          if (sum > target) break;
        }
      }
    }
    float logMass = weir_log((float)mass);
    ids[r] = chosen;
    logp[r] = (x[chosen] - top) / heat - logMass;
    for (int i = 0; i < alternatives; i++) {
      int64_t taken = count - h.n;
      if (i >= taken && i < count) pop(&h);
      int32_t id = i < count ? h.id[count - 1 - i] : -1;
      topIds[r * alternatives + i] = id;
      topLogp[r * alternatives + i] = i < kept ? (x[id] - top) / heat - logMass : -__builtin_inff();
    }
  }
}
