/* The loop of a decoder with input feeding over the target positions of a batch. */

#ifndef NMT_TRAIN_DECODER_H
#define NMT_TRAIN_DECODER_H

#include "train_cells.h"

/* Compute the products of x (H) with the rows of a matrix (S, H). */
static void multiply_rows_by(const float *matrix, const float *x, int32_t S, int32_t H, float *products) {
    int32_t s = 0;
    for (; s + 4 <= S; s += 4, matrix += (int64_t)4 * H) {
        Lanes sums[4] = {{0}};
        for (int32_t j = 0; j < H; j += LANES) {
            Lanes y = load(x + j);
            UNROLL_TILE for (int i = 0; i < 4; i++) sums[i] += load(matrix + (int64_t)i * H + j) * y;
        }
        UNROLL_TILE for (int i = 0; i < 4; i++) products[s + i] = add_lanes(sums[i]);
    }
    for (; s < S; s++, matrix += H) {
        Lanes sum = {0};
        for (int32_t j = 0; j < H; j += LANES) sum += load(matrix + j) * load(x + j);
        products[s] = add_lanes(sum);
    }
}

/* Add the rows of a matrix (S, H), multiplied by `weights` (S), to `sums` (H). */
INLINE void add_rows(int VECTORS_AT_ONCE, const float *matrix, const float *weights, int32_t S, int32_t H,
                     float *sums) {
    Lanes a[8];
    UNROLL_TILE for (int v = 0; v < VECTORS_AT_ONCE; v++) a[v] = load(sums + v * LANES);
    for (int32_t s = 0; s < S; s++, matrix += H)
        UNROLL_TILE for (int v = 0; v < VECTORS_AT_ONCE; v++) a[v] += load(matrix + v * LANES) * weights[s];
    UNROLL_TILE for (int v = 0; v < VECTORS_AT_ONCE; v++) store(sums + v * LANES, a[v]);
}

static void add_weighted_rows(const float *matrix, const float *weights, int32_t S, int32_t H, float *sums) {
    int32_t j = 0;
    for (; j + 8 * LANES <= H; j += 8 * LANES) add_rows(8, matrix + j, weights, S, H, sums + j);
    for (; j < H; j += LANES) add_rows(1, matrix + j, weights, S, H, sums + j);
}

/* Attention of a row: its weights, and the weighted sum of the values, which is added to `sums`. `scores` has room for S
   numbers, rounded up to PARTS. */
static void attend_row(const nmt_train_decoder *d, int64_t row, const float *query, float *scores, float *weights,
                       float *sums) {
    int32_t S = d->sources, H = d->size;
    const uint8_t *mask = d->mask + row * S;
    multiply_rows_by(d->keys + row * S * H, query, S, H, scores);
    for (int32_t s = 0; s < S; s++)
        if (!mask[s]) scores[s] = -INFINITY;
    apply_softmax(scores, S);
    for (int32_t s = 0; s < S; s++) weights[s] = mask[s] ? scores[s] : 0;
    add_weighted_rows(d->values + row * S * H, weights, S, H, sums);
}

/* The gradients of the scores of a row, and of its query, which is added to `d_query`. */
static void attend_row_back(const nmt_train_decoder *d, int64_t row, int64_t t, const float *d_sums, float *d_query) {
    int32_t S = d->sources, H = d->size;
    int64_t place = (row * d->steps + t) * S;
    const float *weights = d->attention + place;
    float *d_scores = d->d_scores + place, expected = 0;
    multiply_rows_by(d->values + row * S * H, d_sums, S, H, d_scores);
    for (int32_t s = 0; d->d_attention && s < S; s++) d_scores[s] += d->d_attention[place + s];
    for (int32_t s = 0; s < S; s++) expected += weights[s] * d_scores[s];
    for (int32_t s = 0; s < S; s++) d_scores[s] = weights[s] * (d_scores[s] - expected);
    add_weighted_rows(d->keys + row * S * H, d_scores, S, H, d_query);
}

static int run_decoder(const nmt_train_decoder *d, int32_t first, int32_t rows) {
    int64_t H = d->size, batch = d->batch, padded = (d->sources + PARTS - 1) / PARTS * PARTS;
    float *h = malloc(((size_t)rows * H + padded + PACKED) * sizeof *h), *scores = h + rows * H;
    float *space = scores + padded;
    if (!h) return NMT_NO_MEMORY;
    for (int64_t t = 0; t < d->steps; t++) {
        int64_t begin = t * batch + first;
        float *queries = d->queries + begin * H, *vectors = d->vectors + begin * H;
        for (int32_t l = 0; l < d->layers; l++) {
            const nmt_train_lstm *layer = &d->lstms[l];
            if (l)
                for (int64_t r = 0; r < rows; r++)
                    write_masked(left_row(layer, begin + r), queries + r * H,
                                 layer->input_mask ? layer->input_mask + (first + r) * H : NULL, H);
            advance_lstm(layer, batch, t, first, rows, h, space);
            for (int64_t r = 0; d->norms && r < rows; r++) {
                const nmt_train_norm *norm = &d->norms[l];
                norm->scales[begin + r] =
                    normalize_row(norm, H, h + r * H, norm->normalized + (begin + r) * H, h + r * H);
            }
            for (int64_t j = 0; j < rows * H; j += LANES)
                store(queries + j, l && d->residual ? load(queries + j) + load(h + j) : load(h + j));
        }
        for (int64_t r = 0; r < rows; r++) {
            memcpy(vectors + r * H, d->bias, H * sizeof *vectors);
            attend_row(d, first + r, queries + r * H, scores, d->attention + ((first + r) * d->steps + t) * d->sources,
                       vectors + r * H);
        }
        multiply_packed(rows, H, H, queries, d->weights, (Sums){vectors, H, vectors, H}, space);
        apply_tanh(vectors, rows * H);
        for (int64_t r = 0; r < rows; r++)
            memcpy(left_row(&d->lstms[0], begin + batch + r), vectors + r * H, H * sizeof *vectors);
    }
    free(h);
    return NMT_OK;
}

static int run_decoder_back(const nmt_train_decoder *d, int32_t first, int32_t rows) {
    int64_t H = d->size, batch = d->batch, count = rows * H;
    float *d_feed = calloc((size_t)count * 5 + PACKED, sizeof *d_feed); /* of v, from the next step */
    if (!d_feed) return NMT_NO_MEMORY;
    float *d_query = d_feed + count, *d_h = d_query + count, *d_left = d_h + count, *space = d_left + 2 * count;
    for (int64_t t = d->steps - 1; t >= 0; t--) {
        int64_t begin = (t * batch + first) * H;
        const float *given = d->d_vectors + begin, *vectors = d->vectors + begin;
        float *d_sums = d->d_sums + begin;
        for (int64_t j = 0; j < count; j += LANES) {
            Lanes v = load(vectors + j);
            store(d_sums + j, (load(given + j) + load(d_feed + j)) * (1.0f - v * v));
        }
        multiply_packed(rows, H, H, d_sums, d->transposed, (Sums){d_query, H, NULL, 0}, space);
        for (int64_t r = 0; r < rows; r++) attend_row_back(d, first + r, t, d_sums + r * H, d_query + r * H);
        for (int32_t l = d->layers - 1; l >= 0; l--) {
            const nmt_train_lstm *layer = &d->lstms[l];
            const float *carried = layer->d_hidden + first * H;
            if (d->norms) {
                const nmt_train_norm *norm = &d->norms[l];
                memcpy(norm->d_outputs + begin, d_query, count * sizeof *d_query);
                for (int64_t r = 0; r < rows; r++)
                    normalize_row_back(norm, H, norm->normalized + begin + r * H, norm->scales[begin / H + r],
                                       d_query + r * H, d_h + r * H);
            } else {
                memcpy(d_h, d_query, count * sizeof *d_query);
            }
            for (int64_t j = 0; j < count; j += LANES) store(d_h + j, load(d_h + j) + load(carried + j));
            retreat_lstm(layer, batch, t, first, rows, d_h, d_left, space);
            for (int64_t r = 0; r < rows; r++) {
                float *d_input = l ? d_h : d_feed;
                write_masked(d_input + r * H, d_left + r * 2 * H,
                             l && layer->input_mask ? layer->input_mask + (first + r) * H : NULL, H);
            }
            for (int64_t j = 0; l && j < count; j += LANES)
                store(d_query + j, d->residual ? load(d_query + j) + load(d_h + j) : load(d_h + j));
        }
    }
    free(d_feed);
    return NMT_OK;
}

#endif
