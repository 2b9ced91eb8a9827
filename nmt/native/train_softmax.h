/* The output layer with its loss, for a block of rows at a time.

   The scores of a block are in panels of WIDTH tokens, so they are the packed right factor of the product that computes
   the gradient of the weights. With e = exp(z - max z), the gradient of z is (e - Σe q) / Σe: only e, minus the share of
   the target, is stored. The division is left to the rows of the other factors, and the share of label smoothing, which is
   the same for all tokens, to their sums. */

#ifndef NMT_TRAIN_SOFTMAX_H
#define NMT_TRAIN_SOFTMAX_H

#include "train_decoder.h"

#define AHEAD (DEPTH * WIDTH) /* this many numbers of a panel are requested before they are needed */
#define ROWS_AT_ONCE 192      /* the scores of this many rows stay in the last-level cache */

/* What is known of the rows of a block. */
typedef struct {
    Lanes largest[ROWS_AT_ONCE], sums[ROWS_AT_ONCE], totals[ROWS_AT_ONCE]; /* of z, of e, and the sums of z, in parts */
    float scales[ROWS_AT_ONCE];                                            /* 1 / Σe */
} RowSums;

/* The place of the score of a token. The panels have `rows` rows. */
INLINE float *find_score(float *scores, int64_t rows, int64_t r, int64_t token) {
    return scores + (token / WIDTH * rows + r) * WIDTH + token % WIDTH;
}

/* Compute the scores of `rows` rows, their largest and their sum. `bias` is -infinity after the last token. `space`
   receives the packed rows of x. */
static void score_block(const nmt_train_softmax *s, const float *vectors, int64_t rows, const float *bias,
                        float *scores, RowSums *of, float *space) {
    int64_t D = s->size;
    for (int64_t d = 0; d < D; d += DEPTH)
        pack_left(rows, vectors + d, D, D - d < DEPTH ? D - d : DEPTH, space + d * rows);
    for (int64_t r = 0; r < rows; r++) {
        of->largest[r] = fill(-INFINITY);
        of->totals[r] = of->sums[r] = (Lanes){0};
    }
    for (int64_t first = 0; first < s->tokens; first += WIDTH) {
        float *panel = scores + first * rows;
        for (int64_t d = 0; d < D; d += DEPTH)
            multiply_panel(rows, D - d < DEPTH ? D - d : DEPTH, space + d * rows, s->weights + first * D + d * WIDTH,
                           WIDTH, AHEAD, (Sums){panel, WIDTH, d ? panel : bias + first, d ? WIDTH : 0});
        int whole = first + WIDTH <= s->tokens;
        for (int64_t r = 0; r < rows; r++, panel += WIDTH) UNROLL_TILE for (int v = 0; v < TILE_VECTORS; v++) {
                Lanes z = load(panel + v * LANES);
                of->largest[r] = maximum(of->largest[r], z);
                of->totals[r] += whole ? z : choose(z > -INFINITY, z, (Lanes){0});
            }
    }
}

/* Replace scores by e, and add them up. */
static void raise_block(const nmt_train_softmax *s, int64_t rows, float *scores, RowSums *of) {
    for (int64_t r = 0; r < rows; r++) of->largest[r] = fill(largest_lane(of->largest[r]));
    for (int64_t first = 0; first < s->tokens; first += WIDTH) {
        float *panel = scores + first * rows;
        for (int64_t r = 0; r < rows; r++, panel += WIDTH) UNROLL_TILE for (int v = 0; v < TILE_VECTORS; v++) {
                Lanes e = exp_lanes(load(panel + v * LANES) - of->largest[r]);
                store(panel + v * LANES, e);
                of->sums[r] += e;
            }
    }
}

/* Multiply tiles of R rows of e by a panel of W, for `runs` panels of tokens, or for `depth` tokens of one panel. */
INLINE void multiply_scores(int64_t rows, const float *scores, int64_t runs, int64_t depth, const float *w, int initial,
                            float *sums, int64_t row) {
    int64_t tiles = (rows + TILE - 1) / TILE, jump = rows * WIDTH;
    for (int64_t r = 0, tile = 0; tile < tiles; tile++) {
        int64_t R = (rows - r) / (tiles - tile); /* tiles of similar size */
        const float *x = scores + r * WIDTH, *begin = initial ? sums + r * row : NULL;
        float *out = sums + r * row;
        CALL_UNROLLED(R, multiply_runs, x, WIDTH, 1, runs, jump, w, depth, AHEAD, begin, row, out, row);
        r += R;
    }
}

/* Compute the products of e (rows, V) and W, in `sums`, whose rows have room for D, rounded up to WIDTH. */
static void multiply_block(const nmt_train_softmax *s, int64_t rows, const float *scores, float *sums) {
    int64_t V = s->tokens, whole = V / WIDTH, at_once = DEPTH / WIDTH, row = count_panels(s->size) * WIDTH;
    for (int64_t p = 0; p < whole; p += at_once)
        for (int64_t d = 0; d < s->size; d += WIDTH)
            multiply_scores(rows, scores + p * rows * WIDTH, whole - p < at_once ? whole - p : at_once, WIDTH,
                            s->transposed + d * V + p * WIDTH * WIDTH, p > 0, sums + d, row);
    for (int64_t d = 0; whole * WIDTH < V && d < s->size; d += WIDTH)
        multiply_scores(rows, scores + whole * rows * WIDTH, 1, V - whole * WIDTH,
                        s->transposed + d * V + whole * WIDTH * WIDTH, whole > 0, sums + d, row);
}

/* The loss of a row, whose score of the target is `score`. */
static double compute_loss(const nmt_train_softmax *s, double score, double largest, double sum, double total) {
    if (isnan(total)) return total;
    double loss = largest + log(sum) - score;               /* -log p of the target */
    if (loss > 87.33654475055310) loss = 87.33654475055310; /* p is at least the smallest normal float */
    if (s->label_smoothing)
        loss = (1 - s->label_smoothing) * loss + s->label_smoothing * (score + loss) -
               s->label_smoothing / (double)s->tokens * total;
    return loss;
}

/* Compute the gradients of a block. `factors` receives x and 1, divided by Σe: D + 1 numbers of each row,
   TILE of them at a time. */
static void retreat_block(const nmt_train_softmax *s, int64_t first, int64_t rows, float *scores, const RowSums *of,
                          float *sums, float *factors, const float *shares, int is_first, float *d_weights) {
    int64_t D = s->size, row = count_panels(D) * WIDTH;
    float rest = (float)(s->label_smoothing / (double)s->tokens), part = (float)(1 - s->label_smoothing);
    for (int64_t r = 0; r < rows; r++) *find_score(scores, rows, r, s->targets[first + r]) -= part / of->scales[r];
    multiply_block(s, rows, scores, sums);
    for (int64_t r = 0; r < rows; r++) {
        const float *x = s->vectors + (first + r) * D;
        float *d_x = s->d_vectors + (first + r) * D, scale = of->scales[r];
        for (int64_t d = 0; d < D; d++) {
            d_x[d] = sums[r * row + d] * scale - rest * s->weight_sums[d];
            factors[(d / TILE * rows + r) * TILE + d % TILE] = x[d] * scale;
        }
        factors[(D / TILE * rows + r) * TILE + D % TILE] = scale;
    }
    for (int64_t n = 0; n < s->tokens; n += WIDTH)
        for (int64_t d = 0; d <= D; d += TILE) {
            float *out = d_weights + n * (D + 1) + d * WIDTH;
            multiply_tile(D + 1 - d < TILE ? D + 1 - d : TILE, factors + d * rows, TILE, scores + n * rows, rows, AHEAD,
                          (Sums){out, WIDTH, is_first ? shares + d * WIDTH : out, WIDTH});
        }
}

static int run_softmax(const nmt_train_softmax *s, int64_t first, int64_t rows, float *d_weights, double *loss) {
    int64_t D = s->size, V = count_panels(s->tokens) * WIDTH, row = count_panels(D) * WIDTH, at_once = ROWS_AT_ONCE;
    if (at_once * D > 2 * PACKED) at_once = 2 * PACKED / D > 8 * TILE ? 2 * PACKED / D / TILE * TILE : 8 * TILE;
    if (rows < at_once) at_once = rows;
    RowSums *of = aligned_alloc(64, (sizeof *of + 63) / 64 * 64);
    float *scores = malloc((at_once * (V + row + D + TILE) + V + WIDTH * (D + 1)) * sizeof *scores);
    if (!of || !scores) {
        free(of);
        free(scores);
        return NMT_NO_MEMORY;
    }
    float *sums = scores + at_once * V, *factors = sums + at_once * row, *bias = factors + at_once * (D + TILE);
    float *shares = bias + V; /* of label smoothing in the gradient of W and b */
    for (int64_t n = 0; n < V; n++) bias[n] = n < s->tokens ? s->bias[n] : -INFINITY;
    double rest = s->label_smoothing / (double)s->tokens;
    for (int64_t d = 0; d_weights && d <= D; d++) {
        double sum = 0;
        for (int64_t r = first; r < first + rows; r++) sum += d < D ? s->vectors[r * D + d] : 1;
        for (int c = 0; c < WIDTH; c++) shares[d * WIDTH + c] = (float)(-rest * sum);
    }
    *loss = 0;
    if (d_weights && !rows) memset(d_weights, 0, V * (D + 1) * sizeof *d_weights);
    for (int64_t begin = 0; begin < rows; begin += at_once) {
        int64_t count = rows - begin < at_once ? rows - begin : at_once, from = first + begin;
        score_block(s, s->vectors + from * D, count, bias, scores, of, factors);
        for (int64_t r = 0; r < count; r++) of->scales[r] = *find_score(scores, count, r, s->targets[from + r]);
        raise_block(s, count, scores, of);
        for (int64_t r = 0; r < count; r++) {
            float sum = add_lanes(of->sums[r]);
            *loss += compute_loss(s, of->scales[r], largest_lane(of->largest[r]), sum, add_lanes(of->totals[r]));
            of->scales[r] = 1.0f / sum;
        }
        if (d_weights) retreat_block(s, from, count, scores, of, sums, factors, shares, !begin, d_weights);
    }
    free(of);
    free(scores);
    return NMT_OK;
}

#endif
