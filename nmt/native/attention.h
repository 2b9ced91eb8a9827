/* Attention: the weights of the source tokens, and the weighted sum of their values. */

#ifndef NMT_ATTENTION_H
#define NMT_ATTENTION_H

#include "member.h"

/* Scores of a query with keys (A, S), for the numbers `first` to `last` of a key. */
INLINE void score_dot(const Memory *memory, const float *query, int32_t first, int32_t last, float scale,
                      float *scores) {
    const float *keys = memory->keys.data;
    for (int32_t s = 0; s < memory->padded; s += PARTS) {
        Lanes sums[4][VECTORS] = {{{0}}};
        int32_t i = first;
        for (; i + 4 <= last; i += 4)
            UNROLL for (int p = 0; p < 4; p++) UNROLL for (int v = 0; v < VECTORS; v++) sums[p][v] +=
                load(keys + (size_t)(i + p) * memory->padded + s + v * LANES) * query[i + p];
        for (; i < last; i++)
            UNROLL for (int v = 0; v < VECTORS; v++) sums[0][v] +=
                load(keys + (size_t)i * memory->padded + s + v * LANES) * query[i];
        UNROLL for (int v = 0; v < VECTORS; v++)
            store(scores + s + v * LANES, ((sums[0][v] + sums[1][v]) + (sums[2][v] + sums[3][v])) * scale);
    }
}

/* Scores of additive attention, w · tanh(q + k) for the product q of the query. */
static void score_additive(const Memory *memory, const float *query, const float *weight, int32_t A, float *scores) {
    const float *keys = memory->keys.data;
    for (int32_t s = 0; s < memory->padded; s += LANES) {
        Lanes sum = {0};
        for (int32_t i = 0; i < A; i++)
            sum += tanh_lanes(load(keys + (size_t)i * memory->padded + s) + query[i]) * weight[i];
        store(scores + s, sum);
    }
}

/* BLOCK numbers of the weighted sum of the values. */
INLINE void add_values(int BLOCK, const Memory *memory, const float *weights, int32_t first, float *out) {
    const float *values = (const float *)memory->values.data + first;
    Lanes sums[PANEL / LANES];
    UNROLL for (int v = 0; v < BLOCK / LANES; v++) sums[v] = (Lanes){0};
    for (int32_t s = 0; s < memory->length; s++, values += memory->value_stride)
        UNROLL for (int v = 0; v < BLOCK / LANES; v++) sums[v] += load(values + v * LANES) * weights[s];
    UNROLL for (int v = 0; v < BLOCK / LANES; v++) store(out + first + v * LANES, sums[v]);
}

/* The weighted sum of the values, for the numbers `first` to `last` of a value. More may be written after `last`. */
static void add_all_values(const Memory *memory, const float *weights, int32_t first, int32_t last, float *out) {
    for (; last - first >= 64; first += 64) add_values(64, memory, weights, first, out);
    for (; first < last; first += PARTS) add_values(PARTS, memory, weights, first, out);
}

/* Attention of one hypothesis. `query` is the query, or its product. `weights` (S, padded) and `context` receive the
   result, `heads` has room for the weights of one head. */
static void attend(const nmt_network *network, const Memory *memory, const float *query, float *weights, float *heads,
                   float *context) {
    const nmt_architecture *a = &network->architecture;
    const Attention *attention = &network->attention;
    int32_t size = attention->value_size;
    if (a->attention == NMT_MULTI_HEAD) {
        int32_t head = size / a->attention_heads;
        memset(weights, 0, memory->padded * sizeof *weights);
        for (int32_t first = 0; first < size; first += head) {
            score_dot(memory, query, first, first + head, 1.0f / sqrtf((float)head), heads);
            apply_softmax(heads, memory->length);
            add_all_values(memory, heads, first, first + head, context);
            for (int32_t s = 0; s < memory->length; s++) weights[s] += heads[s] / (float)a->attention_heads;
        }
        return;
    }
    if (a->attention == NMT_ADDITIVE)
        score_additive(memory, query, attention->score, attention->key_size, weights);
    else
        score_dot(memory, query, 0, attention->key_size, 1.0f, weights);
    apply_softmax(weights, memory->length);
    add_all_values(memory, weights, 0, size, context);
}

/* Attention of N hypotheses with the outputs `hidden` of a layer. Row n belongs to sentence `sentences[n]`. Return the
   contexts, and set their distance. `weights` has `weight_stride` numbers for each hypothesis. */
static float *attend_all(Member *member, const float *hidden, int32_t hidden_stride, const int32_t *sentences,
                         int32_t N, float *weights, int32_t weight_stride, int32_t *stride, int *status) {
    const nmt_network *network = member->network;
    const Attention *attention = &network->attention;
    const float *queries = hidden;
    int32_t query_stride = hidden_stride;
    if (attention->query.inputs) {
        queries = multiply_floats(network, &attention->query, hidden, hidden_stride, N, &member->inputs,
                                  &member->input_scales, &member->query, status);
        query_stride = attention->query.width;
    }
    *stride = round_up(attention->value_size, PANEL) + PANEL;
    float *contexts = reserve(&member->context, (size_t)N * *stride, sizeof(float), status);
    float *heads = reserve(&member->attention, weight_stride, sizeof(float), status);
    if (*status) return NULL;
    for (int32_t n = 0; n < N; n++)
        attend(network, &member->memories[sentences[n]], queries + (size_t)n * query_stride,
               weights + (size_t)n * weight_stride, heads, contexts + (size_t)n * *stride);
    if (!attention->output.inputs) return contexts;
    float *outputs = multiply_floats(network, &attention->output, contexts, *stride, N, &member->inputs,
                                     &member->input_scales, &member->query, status);
    *stride = attention->output.width;
    return outputs;
}

#endif
