/* Products of float32 matrices in training: rows times packed weights.

   Weights are packed once an update, as panels of WIDTH columns: the numbers that are multiplied by one number of a row
   are next to each other. A tile of TILE rows and WIDTH columns is summed in the registers of the processor. Rows are
   packed in the same way, for DEPTH columns at a time. Without this, the rows of a tile would often be a multiple of
   4 KiB apart, and drive each other out of the first-level cache. */

#ifndef NMT_TRAIN_PRODUCTS_H
#define NMT_TRAIN_PRODUCTS_H

#include "vectors.h"

#include <stddef.h>

#define TILE 6                                 /* rows */
#if defined __AVX512F__ || defined __aarch64__ /* 32 registers instead of 16 */
#define TILE_VECTORS 4
#else
#define TILE_VECTORS 2
#endif
#define WIDTH (TILE_VECTORS * LANES)
#define DEPTH 256              /* this many rows of a panel stay in the first-level cache */
#define BLOCK 192              /* this many packed rows stay in the second-level cache */
#define PACKED (BLOCK * DEPTH) /* the numbers of packed rows */
#define UNROLL_TILE _Pragma("GCC unroll 8")

/* The result of a product. If `initial` is not NULL, its rows are added. */
typedef struct {
    float *values;
    int64_t row;
    const float *initial;
    int64_t initial_row; /* the distance between the rows of `initial`; 0 for a bias */
} Sums;

INLINE int64_t count_panels(int64_t N) { return (N + WIDTH - 1) / WIDTH; }

/* Pack the right factor B (K, N): element (k, n) is values[k * row + n * column]. Columns after N are zeros. */
static void pack_right(const float *values, int64_t row, int64_t column, int64_t K, int64_t N, float *packed) {
    for (int64_t first = 0; K && first < N; first += WIDTH, packed += WIDTH * K) {
        int64_t count = N - first < WIDTH ? N - first : WIDTH;
        if (count < WIDTH) memset(packed, 0, WIDTH * K * sizeof *packed);
        if (column == 1)
            for (int64_t k = 0; k < K; k++)
                memcpy(packed + k * WIDTH, values + k * row + first, count * sizeof *packed);
        else
            for (int64_t begin = 0; begin < K; begin += 16)
                for (int64_t n = 0; n < count; n++)
                    for (int64_t k = begin; k < K && k < begin + 16; k++)
                        packed[k * WIDTH + n] = values[k * row + (first + n) * column];
    }
}

/* Write rows `first` to `first + rows` of a packed matrix (K, N). Element (k, n) goes to values[k * row + n * column]. */
static void unpack_right(const float *packed, int64_t K, int64_t N, int64_t first, int64_t rows, float *values,
                         int64_t row, int64_t column) {
    for (int64_t panel = 0; panel < N; panel += WIDTH, packed += WIDTH * K)
        for (int64_t begin = 0; begin < rows; begin += 16)
            for (int64_t n = panel; n < N && n < panel + WIDTH; n++)
                for (int64_t k = begin; k < rows && k < begin + 16; k++)
                    values[k * row + n * column] = packed[(first + k) * WIDTH + n - panel];
}

/* Sum a tile of R rows, for `runs` times `depth` numbers of each row. The runs of a row are `jump` apart. R is a constant,
   so the sums are in registers. The numbers `ahead` of w are brought to the second-level cache. */
INLINE void multiply_runs(int R, const float *x, int64_t row, int64_t column, int64_t runs, int64_t jump,
                          const float *w, int64_t depth, int64_t ahead, const float *initial, int64_t initial_row,
                          float *out, int64_t out_row) {
    Lanes a[TILE][TILE_VECTORS];
    UNROLL_TILE for (int r = 0; r < R; r++) {
        for (int c = 0; initial && c < WIDTH; c += 16) __builtin_prefetch(initial + r * initial_row + c);
        __builtin_prefetch(out + r * out_row, 1);
        UNROLL_TILE for (int c = 0; c < TILE_VECTORS; c++) a[r][c] = (Lanes){0};
    }
    for (int64_t run = 0; run < runs; run++, x += jump) {
        const float *y = x;
        for (int64_t k = 0; k < depth; k++, w += WIDTH, y += column) {
            Lanes b[TILE_VECTORS];
            UNROLL_TILE for (int c = 0; c < TILE_VECTORS; c++) b[c] = load(w + c * LANES);
            for (int c = 0; c < WIDTH; c += 16) __builtin_prefetch(w + ahead + c, 0, 2);
            UNROLL_TILE for (int r = 0; r < R; r++) UNROLL_TILE for (int c = 0; c < TILE_VECTORS; c++) a[r][c] +=
                b[c] * y[r * row];
        }
    }
    UNROLL_TILE for (int r = 0; r < R; r++) UNROLL_TILE for (int c = 0; c < TILE_VECTORS; c++) {
        if (initial) a[r][c] += load(initial + r * initial_row + c * LANES);
        store(out + r * out_row + c * LANES, a[r][c]);
    }
}

/* Sum a tile of R packed rows: x has a number of each row for each of `depth` columns, which are `column` apart. */
INLINE void multiply_tile(int64_t R, const float *x, int64_t column, const float *w, int64_t depth, int64_t ahead,
                          Sums sums) {
    CALL_UNROLLED(R, multiply_runs, x, 1, column, 1, 0, w, depth, ahead, sums.initial, sums.initial_row, sums.values,
                  sums.row);
}

/* Pack `depth` columns of M rows, which are `row` apart, as tiles of similar size. */
static void pack_left(int64_t M, const float *values, int64_t row, int64_t depth, float *packed) {
    for (int64_t m = 0, tiles = (M + TILE - 1) / TILE; tiles; tiles--) {
        int64_t R = (M - m) / tiles;
        for (int64_t k = 0; k < depth; k++)
            for (int64_t r = 0; r < R; r++) *packed++ = values[(m + r) * row + k];
        m += R;
    }
}

/* Multiply M rows, packed by `pack_left`, by `depth` rows of a panel, with `count` columns, at most WIDTH. */
static void multiply_panel(int64_t M, int64_t depth, const float *left, const float *panel, int64_t count,
                           int64_t ahead, Sums sums) {
    for (int64_t m = 0, tiles = (M + TILE - 1) / TILE; tiles; tiles--) {
        int64_t R = (M - m) / tiles;
        const float *begin = sums.initial ? sums.initial + m * sums.initial_row : NULL;
        float *out = sums.values + m * sums.row;
        if (count == WIDTH) {
            multiply_tile(R, left + m * depth, R, panel, depth, ahead, (Sums){out, sums.row, begin, sums.initial_row});
        } else {
            float part[TILE][WIDTH] = {{0}};
            for (int64_t r = 0; begin && r < R; r++)
                memcpy(part[r], begin + r * sums.initial_row, count * sizeof(float));
            multiply_tile(R, left + m * depth, R, panel, depth, ahead, (Sums){part[0], WIDTH, part[0], WIDTH});
            for (int64_t r = 0; r < R; r++) memcpy(out + r * sums.row, part[r], count * sizeof(float));
        }
        m += R;
    }
}

/* Multiply M rows (K) by a packed factor (K, N). `space` has room for PACKED numbers. */
static void multiply_packed(int64_t M, int64_t K, int64_t N, const float *left, const float *packed, Sums sums,
                            float *space) {
    for (int64_t m = 0, blocks = (M + BLOCK - 1) / BLOCK; blocks; blocks--) { /* blocks of similar size */
        int64_t rows = (M - m) / blocks;
        for (int64_t k = 0; k < K || !k; k += DEPTH) {
            int64_t depth = K - k < DEPTH ? K - k : DEPTH;
            const float *initial = k ? sums.values : sums.initial;
            int64_t initial_row = k ? sums.row : sums.initial_row;
            pack_left(rows, left + m * K + k, K, depth, space);
            for (int64_t n = 0; n < N; n += WIDTH)
                multiply_panel(rows, depth, space, packed + n * K + k * WIDTH, N - n < WIDTH ? N - n : WIDTH, K * WIDTH,
                               (Sums){sums.values + m * sums.row + n, sums.row,
                                      initial ? initial + m * initial_row + n : NULL, initial_row});
        }
        m += rows;
    }
}

#endif
