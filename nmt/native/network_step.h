/* The network, step by step: the encoder, and one step of the decoder for the hypotheses of several sentences. */

#ifndef NMT_NETWORK_STEP_H
#define NMT_NETWORK_STEP_H

#include "products.h"

#include <stdlib.h>

/* Memory that grows. It is kept for the next use, and freed at the end of a call. */
typedef struct {
    void *data;
    size_t size;
} Buffer;

/* Return memory for `count` items, whose contents are undefined. After a failure, `status` is NMT_NO_MEMORY and the
   result is NULL. All buffers have some more bytes at their end, because loops read and write whole vectors. */
static void *reserve(Buffer *buffer, size_t count, size_t item, int *status) {
    size_t size = count * item + 256;
    if (buffer->size >= size) return buffer->data;
    free(buffer->data);
    size = (size + size / 4 + 63) / 64 * 64;
    buffer->data = count > SIZE_MAX / 4 / item ? NULL : aligned_alloc(64, size);
    buffer->size = buffer->data ? size : 0;
    if (buffer->data)
        memset(buffer->data, 0, size);
    else
        *status = NMT_NO_MEMORY;
    return buffer->data;
}

static void release(Buffer *buffer) {
    free(buffer->data);
    *buffer = (Buffer){0};
}

/* What attention reads of a sentence. */
typedef struct {
    Buffer keys;   /* (key size, S), transposed, so that a vector has the same number of several tokens */
    Buffer values; /* (S, value size) */
    int32_t length, padded, value_stride; /* S, S rounded up, and the distance between two values */
} Memory;

/* One network, with what it computes for the sentences that are searched at once. */
typedef struct {
    const nmt_network *network;
    Memory *memories;            /* of each sentence */
    Buffer states[2];            /* of each hypothesis: see `StateLayout`; before and after a step */
    size_t state_size;           /* bytes of a hypothesis */
    size_t levels[MAX_LAYERS];   /* the offsets in a state: h of each layer as elements of a row, */
    size_t cells[MAX_LAYERS];    /* c of an LSTM, or h of a GRU, in float32, */
    size_t feed;                 /* and the attentional vector, as elements of a row */
    Buffer inputs, input_scales, more_inputs, more_scales, gates, added, joined, outputs[2], query, context, attention;
    Buffer vectors, vector_scales, embedded;
} Member;

static void lay_out_state(Member *member) {
    const nmt_network *network = member->network;
    const nmt_architecture *a = &network->architecture;
    size_t H = a->decoder_size, used = 0;
    for (int32_t l = 0; l < a->decoder_layers; l++) {
        member->cells[l] = used;
        if (a->cell != NMT_RNN) used += (H + PARTS - 1) / PARTS * PARTS * sizeof(float);
    }
    for (int32_t l = 0; l < a->decoder_layers; l++) {
        member->levels[l] = used;
        used += H * element_size(network);
    }
    member->feed = used;
    if (a->decoder == NMT_INPUT_FEEDING) used += H * element_size(network);
    member->state_size = (used + 63) / 64 * 64;
}

/* Compute the state after a step of a cell, for one row.

   `added` are W x + b of all gates, and `gates` U h + b. For a joint layer, `gates` has both, and `added` only what is
   not in the product. `cell` is c of an LSTM, or h of a GRU. `h` receives the output. */
static void step_cell(int32_t kind, const float *added, const float *gates, int32_t H, float *cell, float *h) {
    switch (kind) {
    case NMT_LSTM:
        for (int32_t j = 0; j < H; j += LANES) {
            /* With powers p = e^-x, sigmoid(i) tanh(g) = (1 - g²) / ((1 + i) (1 + g²)): fewer divisions. */
            Lanes i = exp_lanes(-maximum(load(added + j) + load(gates + j), fill(-40.0f)));
            Lanes f = exp_lanes(-(load(added + H + j) + load(gates + H + j)));
            Lanes g = exp_lanes(-2.0f * maximum(load(added + 2 * H + j) + load(gates + 2 * H + j), fill(-20.0f)));
            Lanes o = exp_lanes(-maximum(load(added + 3 * H + j) + load(gates + 3 * H + j), fill(-40.0f)));
            Lanes c = load(cell + j) / (1.0f + f) + (1.0f - g) / ((1.0f + i) * (1.0f + g));
            Lanes p = exp_lanes(-2.0f * maximum(c, fill(-20.0f)));
            store(cell + j, c);
            store(h + j, (1.0f - p) / ((1.0f + o) * (1.0f + p)));
        }
        break;
    case NMT_GRU:
        for (int32_t j = 0; j < H; j += LANES) {
            Lanes r = sigmoid_lanes(load(added + j) + load(gates + j));
            Lanes z = sigmoid_lanes(load(added + H + j) + load(gates + H + j));
            Lanes n = tanh_lanes(load(added + 2 * H + j) + r * load(gates + 2 * H + j));
            Lanes next = (1.0f - z) * n + z * load(cell + j);
            store(cell + j, next);
            store(h + j, next);
        }
        break;
    case NMT_RNN:
        for (int32_t j = 0; j < H; j += LANES) store(h + j, tanh_lanes(load(added + j) + load(gates + j)));
    }
}

/* Normalize a row x (n) in place (Ba et al. 2016). */
static void normalize(const Norm *norm, float *x, int32_t n) {
    double sum = 0, squares = 0;
    if (!norm->gain) return;
    for (int32_t i = 0; i < n; i++) sum += x[i];
    double mean = sum / n;
    for (int32_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    float scale = (float)(1.0 / sqrt(squares / n + 1e-5)), shift = (float)mean;
    for (int32_t i = 0; i < n; i++) x[i] = (x[i] - shift) * scale * norm->gain[i] + norm->bias[i];
}

static Rows make_rows(const nmt_network *network, const Product *product, int32_t N, Buffer *values, Buffer *scales,
                      int *status) {
    int32_t stride = round_up(product->inputs, 4);
    return (Rows){.values = reserve(values, (size_t)N * stride, element_size(network), status),
                  .scales = reserve(scales, N, sizeof(float), status),
                  .stride = stride};
}

/* Compute W x + b for N rows x of `stride` numbers. */
static float *multiply_floats(const nmt_network *network, const Product *product, const float *x, int32_t stride,
                              int32_t N, Buffer *values, Buffer *scales, Buffer *out, int *status) {
    Rows rows = make_rows(network, product, N, values, scales, status);
    float *result = reserve(out, (size_t)N * product->width, sizeof(float), status);
    if (*status) return NULL;
    for (int32_t n = 0; n < N; n++) write_row(network, product, x + (size_t)n * stride, &rows, n);
    multiply(network, product, &rows, N, result, product->width);
    return result;
}

static char *row_at(const nmt_network *network, const Rows *rows, int32_t row, int32_t column) {
    return (char *)rows->values + ((size_t)row * rows->stride + column) * element_size(network);
}

/* Encode `count` sentences, the longest first. Fill their memories, and the first state of each. */
static void encode(Member *member, const nmt_sentence *const *sentences, int32_t count, int *status) {
    const nmt_network *network = member->network;
    const nmt_architecture *a = &network->architecture;
    size_t element = element_size(network);
    int32_t E = a->embedding_size, C = a->encoder_size, size = C / 2, T = 0;
    int32_t stride = round_up(C, PARTS) + PARTS;
    int32_t begins[count + 1];
    for (int32_t b = 0; b < count; b++) {
        begins[b] = T;
        T += sentences[b]->length;
    }
    begins[count] = T;

    /* The outputs of the layer below and of this layer, (T, C). */
    float *below = NULL, *outputs = NULL;
    for (int32_t l = 0; l < a->encoder_layers; l++) {
        const Layer *layers = network->encoder[l];
        const Layer *layer = &layers[0];
        outputs = reserve(&member->outputs[l % 2], (size_t)T * stride, sizeof(float), status);
        Buffer *directions[2] = {&member->gates, &member->added};
        float *added[2];
        Rows rows = {0};
        /* W x + b of all positions. A joint layer reads its inputs in each step instead. */
        const Product *reader = layer->joint ? &layer->recurrent : &layer->input;
        Product all = *reader;
        if (layer->joint) all.inputs = C;
        rows = make_rows(network, &all, T, &member->inputs, &member->input_scales, status);
        if (*status) return;
        for (int32_t b = 0, row = 0; b < count; b++)
            for (int32_t s = 0; s < sentences[b]->length; s++, row++) {
                if (l) {
                    write_row(network, &all, below + (size_t)row * stride, &rows, row);
                    continue;
                }
                int64_t id = sentences[b]->ids[s];
                if (a->precision == NMT_FLOAT32) {
                    memcpy(row_at(network, &rows, row, 0), (const float *)network->source.rows + id * E, E * sizeof(float));
                    continue;
                }
                const int8_t *levels = (const int8_t *)network->source.rows + id * E;
                Level *out = (Level *)row_at(network, &rows, row, 0);
                for (int32_t i = 0; i < E; i++) out[i] = (Level)(levels[i] + LEVEL_OFFSET);
                rows.scales[row] = network->source.scales[id];
            }
        for (int32_t d = 0; d < 2; d++) {
            added[d] = NULL;
            if (layer->joint) continue;
            added[d] = reserve(directions[d], (size_t)T * layer->input.width, sizeof(float), status);
            if (*status) return;
            multiply(network, &layers[d].input, &rows, T, added[d], layer->input.width);
        }

        /* Both directions, step by step. Sentences that have ended are the last ones. */
        int32_t width = layer->recurrent.width, cell_stride = round_up(size, PARTS) + PARTS;
        Rows states = make_rows(network, &layer->recurrent, count, &member->more_inputs, &member->more_scales, status);
        char *levels = reserve(&member->vectors, 2 * (size_t)count * size, element, status);
        float *gates = reserve(&member->joined, (size_t)count * width, sizeof(float), status);
        float *cells = reserve(&member->query, 2 * (size_t)count * cell_stride, sizeof(float), status);
        float *h = reserve(&member->context, cell_stride, sizeof(float), status);
        float *zeros = reserve(&member->embedded, layer->gates * size + PARTS, sizeof(float), status);
        if (*status) return;
        memset(cells, 0, 2 * (size_t)count * cell_stride * sizeof(float));
        memset(zeros, 0, (layer->gates * size + PARTS) * sizeof(float));
        memset(h, 0, cell_stride * sizeof(float));
        for (int32_t i = 0; i < 2 * count; i++) write_bounded(network, h, size, levels + (size_t)i * size * element);
        for (int32_t t = 0; t < sentences[0]->length; t++) {
            int32_t active = 0;
            while (active < count && sentences[active]->length > t) active++;
            for (int32_t d = 0; d < 2; d++) {
                char *own = levels + (size_t)d * count * size * element;
                for (int32_t b = 0; b < active; b++) {
                    int32_t position = begins[b] + (d ? sentences[b]->length - 1 - t : t);
                    char *row = row_at(network, &states, b, 0);
                    if (layer->joint) {
                        memcpy(row, row_at(network, &rows, position, 0), C * element);
                        row += C * element;
                    }
                    memcpy(row, own + (size_t)b * size * element, size * element);
                }
                multiply(network, &layers[d].recurrent, &states, active, gates, width);
                for (int32_t b = 0; b < active; b++) {
                    int32_t position = begins[b] + (d ? sentences[b]->length - 1 - t : t);
                    const float *more = layer->joint ? zeros : added[d] + (size_t)position * layer->input.width;
                    float *cell = cells + ((size_t)d * count + b) * cell_stride;
                    step_cell(a->cell, more, gates + (size_t)b * width, size, cell, h);
                    write_bounded(network, h, size, own + (size_t)b * size * element);
                    memcpy(outputs + (size_t)position * stride + d * size, h, size * sizeof(float));
                }
            }
        }
        for (int32_t row = 0; row < T; row++) {
            float *output = outputs + (size_t)row * stride;
            normalize(&network->encoder_norms[l], output, C);
            for (int32_t i = 0; l && a->residual && i < C; i++) output[i] += below[(size_t)row * stride + i];
        }
        below = outputs;
    }

    /* Keys and values. */
    const Attention *attention = &network->attention;
    const float *keys = outputs, *values = outputs;
    int32_t key_stride = stride, value_stride = stride;
    if (attention->key.inputs) {
        keys = multiply_floats(network, &attention->key, outputs, stride, T, &member->inputs, &member->input_scales,
                               &member->gates, status);
        key_stride = attention->key.width;
    }
    if (attention->value.inputs) {
        values = multiply_floats(network, &attention->value, outputs, stride, T, &member->inputs, &member->input_scales,
                                 &member->added, status);
        value_stride = attention->value.width;
    }
    if (*status) return;
    for (int32_t b = 0; b < count; b++) {
        Memory *memory = &member->memories[b];
        int32_t S = sentences[b]->length, A = attention->key_size;
        memory->length = S;
        memory->padded = round_up(S, PARTS);
        memory->value_stride = round_up(attention->value_size, PANEL);
        float *k = reserve(&memory->keys, (size_t)A * memory->padded, sizeof(float), status);
        float *v = reserve(&memory->values, (size_t)S * memory->value_stride, sizeof(float), status);
        if (*status) return;
        for (int32_t s = 0; s < S; s++) {
            const float *key = keys + (size_t)(begins[b] + s) * key_stride;
            for (int32_t i = 0; i < A; i++) k[(size_t)i * memory->padded + s] = key[i];
            memcpy(v + (size_t)s * memory->value_stride, values + (size_t)(begins[b] + s) * value_stride,
                   attention->value_size * sizeof(float));
        }
        for (int32_t i = 0; i < A; i++)
            for (int32_t s = S; s < memory->padded; s++) k[(size_t)i * memory->padded + s] = 0;
    }

    /* The first state of the decoder. */
    int32_t H = a->decoder_size, L = a->decoder_layers, blocks = L * network->states * H;
    char *state = reserve(&member->states[0], (size_t)count, member->state_size, status);
    float *summary = reserve(&member->query, (size_t)count * stride, sizeof(float), status);
    float *flat = reserve(&member->joined, (size_t)count * round_up(blocks, PANEL), sizeof(float), status);
    if (*status) return;
    int32_t flat_stride = round_up(blocks, PANEL);
    memset(flat, 0, (size_t)count * flat_stride * sizeof(float));
    if (a->bridge != NMT_BRIDGE_NONE) {
        for (int32_t b = 0; b < count; b++) {
            const float *first = outputs + (size_t)begins[b] * stride;
            const float *last = outputs + (size_t)(begins[b + 1] - 1) * stride;
            float *out = summary + (size_t)b * stride;
            for (int32_t i = 0; i < C; i++) {
                if (a->bridge == NMT_BRIDGE_FINAL) {
                    out[i] = i < size ? last[i] : first[i];
                    continue;
                }
                float sum = 0;
                for (int32_t s = 0; s < sentences[b]->length; s++) sum += first[(size_t)s * stride + i];
                out[i] = sum / (float)sentences[b]->length;
            }
        }
        flat = multiply_floats(network, &network->bridge, summary, stride, count, &member->inputs,
                               &member->input_scales, &member->joined, status);
        if (*status) return;
        for (int32_t b = 0; b < count; b++) apply_tanh(flat + (size_t)b * flat_stride, blocks);
    }
    float *zeros = reserve(&member->context, H, sizeof(float), status);
    if (*status) return;
    memset(zeros, 0, H * sizeof(float));
    for (int32_t b = 0; b < count; b++) {
        char *own = state + (size_t)b * member->state_size;
        for (int32_t l = 0; l < L; l++) {
            const float *h = flat + (size_t)b * flat_stride + (size_t)l * network->states * H;
            write_bounded(network, h, H, own + member->levels[l]);
            if (a->cell != NMT_RNN) memcpy(own + member->cells[l], a->cell == NMT_LSTM ? h + H : h, H * sizeof(float));
        }
        if (a->decoder == NMT_INPUT_FEEDING) write_bounded(network, zeros, H, own + member->feed);
    }
}

/* Scores of a query with keys (A, S), for the numbers `first` to `last` of a key. */
INLINE void score_dot(const Memory *memory, const float *query, int32_t first, int32_t last, float scale, float *scores) {
    const float *keys = memory->keys.data;
    for (int32_t s = 0; s < memory->padded; s += PARTS) {
        Lanes sums[4][VECTORS] = {{{0}}};
        int32_t i = first;
        for (; i + 4 <= last; i += 4)
            UNROLL for (int p = 0; p < 4; p++)
                UNROLL for (int v = 0; v < VECTORS; v++)
                    sums[p][v] += load(keys + (size_t)(i + p) * memory->padded + s + v * LANES) * query[i + p];
        for (; i < last; i++)
            UNROLL for (int v = 0; v < VECTORS; v++)
                sums[0][v] += load(keys + (size_t)i * memory->padded + s + v * LANES) * query[i];
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

/* Read W x + b for the embedding of a token from the table. */
static void read_table(const Table *table, int32_t precision, int32_t token, float *out) {
    if (precision == NMT_FLOAT32) {
        memcpy(out, (const float *)table->rows + (size_t)token * table->stride, table->stride * sizeof *out);
        return;
    }
    const int16_t *levels = (const int16_t *)table->rows + (size_t)token * table->stride;
    float scale = table->scales[token];
    for (int32_t i = 0; i < table->stride; i++) out[i] = (float)levels[i] * scale;
}

/* Compute W x + b for the embeddings of N tokens. */
static const float *embed(Member *member, const int32_t *tokens, int32_t N, int32_t *stride, int *status) {
    const nmt_network *network = member->network;
    const Table *table = &network->table;
    int32_t precision = network->architecture.precision, E = network->architecture.embedding_size;
    if (table->rows) {
        *stride = table->stride;
        float *rows = reserve(&member->embedded, (size_t)N * table->stride, sizeof(float), status);
        for (int32_t n = 0; !*status && n < N; n++)
            read_table(table, precision, tokens[n], rows + (size_t)n * table->stride);
        return rows;
    }
    Rows rows = make_rows(network, &table->product, N, &member->inputs, &member->input_scales, status);
    float *out = reserve(&member->embedded, (size_t)N * table->product.width, sizeof(float), status);
    *stride = table->product.width;
    if (*status) return NULL;
    for (int32_t n = 0; n < N; n++) {
        char *row = row_at(network, &rows, n, 0);
        if (precision == NMT_FLOAT32) {
            memcpy(row, (const float *)network->target.rows + (size_t)tokens[n] * E, E * sizeof(float));
            continue;
        }
        const int8_t *levels = (const int8_t *)network->target.rows + (size_t)tokens[n] * E;
        for (int32_t i = 0; i < E; i++) ((Level *)row)[i] = (Level)(levels[i] + LEVEL_OFFSET);
        rows.scales[n] = network->target.scales[tokens[n]];
    }
    multiply(network, &table->product, &rows, N, out, *stride);
    return out;
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

/* Append a token to each of N hypotheses. The states in `member->states[0]` are changed in place.

   `weights` receives the attention weights of each hypothesis. The result are the rows that the output layer reads. */
static Rows step_decoder(Member *member, const int32_t *tokens, const int32_t *sentences, int32_t N, float *weights,
                         int32_t weight_stride, int *status) {
    const nmt_network *network = member->network;
    const nmt_architecture *a = &network->architecture;
    size_t element = element_size(network);
    int32_t H = a->decoder_size, C = a->encoder_size, L = a->decoder_layers, feeding = a->decoder == NMT_INPUT_FEEDING;
    int32_t stride = round_up(H, PARTS) + PARTS, embedded_stride = 0, context_stride = 0;
    char *states = member->states[0].data;
    const float *embedded = embed(member, tokens, N, &embedded_stride, status), *context = NULL;
    float *below = NULL, *hidden = NULL, *joined;
    int32_t joined_stride = round_up(H + C, PARTS) + PARTS;
    if (*status) return (Rows){0};
    for (int32_t l = 0; l < L; l++) {
        const Layer *layer = &network->decoder[l];
        hidden = reserve(&member->outputs[l % 2], (size_t)N * stride, sizeof(float), status);
        Rows rows = make_rows(network, &layer->recurrent, N, &member->more_inputs, &member->more_scales, status);
        float *gates = reserve(&member->gates, (size_t)N * layer->recurrent.width, sizeof(float), status);
        float *added = reserve(&member->added, (size_t)N * round_up(layer->gates * H, PANEL), sizeof(float), status);
        joined = reserve(&member->joined, (size_t)N * joined_stride, sizeof(float), status);
        if (*status) return (Rows){0};
        int32_t inputs = layer->joint ? layer->recurrent.inputs - H : layer->input.inputs;
        int32_t added_stride = l ? round_up(layer->gates * H, PANEL) : embedded_stride;
        for (int32_t n = 0; l && inputs && n < N; n++) { /* the inputs of a layer above the first */
            float *row = joined + (size_t)n * joined_stride;
            memcpy(row, below + (size_t)n * stride, H * sizeof(float));
            if (inputs > H) memcpy(row + H, context + (size_t)n * context_stride, C * sizeof(float));
        }
        if (!layer->joint && inputs) {
            Rows own = make_rows(network, &layer->input, N, &member->inputs, &member->input_scales, status);
            if (*status) return (Rows){0};
            for (int32_t n = 0; n < N; n++) {
                if (l)
                    write_row(network, &layer->input, joined + (size_t)n * joined_stride, &own, n);
                else
                    memcpy(row_at(network, &own, n, 0), states + n * member->state_size + member->feed, H * element);
            }
            multiply(network, &layer->input, &own, N, added, layer->input.width);
            if (!l) {
                added_stride = layer->input.width;
                for (int32_t n = 0; n < N; n++)
                    for (int32_t i = 0; i < layer->gates * H; i++)
                        added[(size_t)n * added_stride + i] += embedded[(size_t)n * embedded_stride + i];
            }
        } else if (l) {
            memset(added, 0, (size_t)N * added_stride * sizeof(float));
        }
        for (int32_t n = 0; n < N; n++) {
            char *state = states + n * member->state_size, *row = row_at(network, &rows, n, 0);
            if (layer->joint) {
                if (l)
                    write_bounded(network, joined + (size_t)n * joined_stride, inputs, row);
                else
                    memcpy(row, state + member->feed, H * element);
                row += inputs * element;
            }
            memcpy(row, state + member->levels[l], H * element);
        }
        multiply(network, &layer->recurrent, &rows, N, gates, layer->recurrent.width);
        const float *first = l || (!layer->joint && inputs) ? added : embedded;
        for (int32_t n = 0; n < N; n++) {
            char *state = states + n * member->state_size;
            float *h = hidden + (size_t)n * stride;
            step_cell(a->cell, first + (size_t)n * added_stride, gates + (size_t)n * layer->recurrent.width, H,
                      (float *)(state + member->cells[l]), h);
            write_bounded(network, h, H, state + member->levels[l]);
            normalize(&network->decoder_norms[l], h, H);
            for (int32_t i = 0; l && a->residual && i < H; i++) h[i] += below[(size_t)n * stride + i];
        }
        if (l == (feeding ? L - 1 : 0)) {
            context = attend_all(member, hidden, stride, sentences, N, weights, weight_stride, &context_stride, status);
            if (*status) return (Rows){0};
        }
        below = hidden;
    }

    /* The attentional vector. */
    const Product *combine = &network->combine;
    const float *inputs = hidden;
    int32_t input_stride = stride;
    joined = reserve(&member->joined, (size_t)N * joined_stride, sizeof(float), status);
    if (*status) return (Rows){0};
    if (!network->attention.folded) {
        for (int32_t n = 0; n < N; n++) {
            memcpy(joined + (size_t)n * joined_stride, context + (size_t)n * context_stride, C * sizeof(float));
            memcpy(joined + (size_t)n * joined_stride + C, hidden + (size_t)n * stride, H * sizeof(float));
        }
        inputs = joined;
        input_stride = joined_stride;
    }
    float *vectors = multiply_floats(network, combine, inputs, input_stride, N, &member->inputs, &member->input_scales,
                                     &member->gates, status);
    const Product *reader = network->project.inputs ? &network->project : &network->output;
    Rows rows = make_rows(network, reader, N, &member->vectors, &member->vector_scales, status);
    if (*status) return (Rows){0};
    for (int32_t n = 0; n < N; n++) {
        float *vector = vectors + (size_t)n * combine->width;
        if (network->attention.folded)
            for (int32_t i = 0; i < H; i++) vector[i] += context[(size_t)n * context_stride + i];
        apply_tanh(vector, H);
        write_bounded(network, vector, H, row_at(network, &rows, n, 0));
        if (feeding) memcpy(states + n * member->state_size + member->feed, row_at(network, &rows, n, 0), H * element);
    }
    if (reader == &network->output) return rows;
    float *projected = reserve(&member->gates, (size_t)N * network->project.width, sizeof(float), status);
    Rows result = make_rows(network, &network->output, N, &member->inputs, &member->input_scales, status);
    if (*status) return (Rows){0};
    multiply(network, &network->project, &rows, N, projected, network->project.width);
    for (int32_t n = 0; n < N; n++)
        write_row(network, &network->output, projected + (size_t)n * network->project.width, &result, n);
    return result;
}

/* Replace the states by those of other hypotheses: state n becomes that of `origins[n]`. */
static void select_states(Member *member, const int32_t *origins, int32_t N, int *status) {
    size_t size = member->state_size;
    const char *from = member->states[0].data;
    char *to = reserve(&member->states[1], N, size, status);
    if (*status) return;
    for (int32_t n = 0; n < N; n++) memcpy(to + n * size, from + origins[n] * size, size);
    Buffer swapped = member->states[0];
    member->states[0] = member->states[1];
    member->states[1] = swapped;
}

static void release_member(Member *member, int32_t sentences) {
    Buffer *buffers[] = {&member->states[0], &member->states[1], &member->inputs, &member->input_scales,
                         &member->more_inputs, &member->more_scales, &member->gates, &member->added, &member->joined,
                         &member->outputs[0], &member->outputs[1], &member->query, &member->context,
                         &member->attention, &member->vectors, &member->vector_scales, &member->embedded};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) release(buffers[i]);
    for (int32_t b = 0; member->memories && b < sentences; b++) {
        release(&member->memories[b].keys);
        release(&member->memories[b].values);
    }
    free(member->memories);
}

#endif
