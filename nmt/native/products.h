/* Products of rows with packed weights, y = W x + b, in int8 and float32.

   In int8, the elements of a row are rounded to levels between -127 and 127. The products of levels are added as
   integers, so they are exact in any order, and equal on every processor. A row's scale undoes the rounding. */

#ifndef NMT_PRODUCTS_H
#define NMT_PRODUCTS_H

#include "network.h"
#include "vectors.h"

#define ROWS 6 /* the largest number of rows that are multiplied at once: their sums fit into the registers */
#define UNROLL _Pragma("GCC unroll 8")

/* How the processor reads a level. */
#if defined __AVX512VNNI__
#include <immintrin.h>
typedef uint8_t Level; /* level + 128, since the instruction multiplies unsigned by signed bytes */
#define LEVEL_OFFSET 128
#elif defined __AVX2__
#include <immintrin.h>
typedef int16_t Level; /* products of bytes could overflow */
#define LEVEL_OFFSET 0
#else
#if defined __ARM_FEATURE_DOTPROD
#include <arm_neon.h>
#endif
typedef int8_t Level;
#define LEVEL_OFFSET 0
#endif

/* The inputs of products: rows of levels, or of floats in a float32 network. */
typedef struct {
    void *values;
    float *scales;  /* of each row; not read if the inputs are bounded */
    int32_t stride; /* the distance between two rows, in elements */
} Rows;

INLINE size_t element_size(const nmt_network *network) {
    return network->architecture.precision == NMT_INT8 ? sizeof(Level) : sizeof(float);
}

/* Round n numbers to levels. Each number times `levels` is between -127 and 127. */
INLINE void round_to_levels(const float *x, int32_t n, float levels, Level *out) {
    int32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        Integers whole = __builtin_convertvector(round_lanes(load(x + i) * levels), Integers) + LEVEL_OFFSET;
        typedef Level Levels __attribute__((vector_size(LANES * sizeof(Level))));
        Levels narrow = __builtin_convertvector(whole, Levels);
        memcpy(out + i, &narrow, sizeof narrow);
    }
    for (; i < n; i++) {
        const float shift = 12582912.0f;
        out[i] = (Level)((int32_t)((x[i] * levels + shift) - shift) + LEVEL_OFFSET);
    }
}

/* Write n numbers between -1 and 1 as elements of a row. */
INLINE void write_bounded(const nmt_network *network, const float *x, int32_t n, void *out) {
    if (network->architecture.precision == NMT_INT8)
        round_to_levels(x, n, 127.0f, out);
    else
        memcpy(out, x, n * sizeof *x);
}

/* Write a whole row of n numbers. */
INLINE void write_row(const nmt_network *network, const Product *product, const float *x, Rows *rows, int32_t row) {
    int32_t n = product->inputs;
    char *out = (char *)rows->values + (size_t)row * rows->stride * element_size(network);
    if (network->architecture.precision == NMT_FLOAT32 || product->bounded) {
        write_bounded(network, x, n, out);
        return;
    }
    float largest = 1e-30f;
    for (int32_t i = 0; i < n; i++) {
        float size = fabsf(x[i]);
        largest = size > largest ? size : largest;
    }
    rows->scales[row] = largest / 127.0f;
    round_to_levels(x, n, 127.0f / largest, (Level *)out);
}

#if defined __AVX512VNNI__

#define COLUMNS 64
INLINE void multiply_tile_int8(int R, const Level *x, int32_t stride, const int8_t *w, int32_t depth,
                               int32_t sums[ROWS][COLUMNS]) {
    __m512i a[ROWS][4];
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int c = 0; c < 4; c++) a[r][c] = _mm512_setzero_si512();
    for (int32_t k = 0; k < depth; k += 4, w += PANEL * 4) {
        __m512i b[4];
        UNROLL for (int c = 0; c < 4; c++) b[c] = _mm512_loadu_si512(w + c * 64);
        UNROLL for (int r = 0; r < R; r++) {
            int32_t four;
            memcpy(&four, x + (size_t)r * stride + k, sizeof four);
            __m512i y = _mm512_set1_epi32(four);
            /* gcc 12 spills the sums of the intrinsic to memory, but not those of the instruction. */
            UNROLL for (int c = 0; c < 4; c++) __asm__("vpdpbusd %2, %1, %0" : "+v"(a[r][c]) : "v"(y), "v"(b[c]));
        }
    }
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int c = 0; c < 4; c++)
        _mm512_storeu_si512(sums[r] + c * 16, a[r][c]);
}

#elif defined __AVX2__

#define COLUMNS 8
INLINE void multiply_tile_int8(int R, const Level *x, int32_t stride, const int8_t *w, int32_t depth,
                               int32_t sums[ROWS][COLUMNS]) {
    __m256i low[ROWS], high[ROWS];
    UNROLL for (int r = 0; r < R; r++) low[r] = high[r] = _mm256_setzero_si256();
    for (int32_t k = 0; k < depth; k += 4, w += PANEL * 4) {
        __m256i first = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)w));
        __m256i second = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(w + 16)));
        UNROLL for (int r = 0; r < R; r++) {
            int64_t four;
            memcpy(&four, x + (size_t)r * stride + k, sizeof four);
            __m256i y = _mm256_set1_epi64x(four);
            /* gcc 12 spills the sums of the intrinsics to memory, but not those of the instruction. */
            __asm__("vpaddd %1, %0, %0" : "+x"(low[r]) : "x"(_mm256_madd_epi16(first, y)));
            __asm__("vpaddd %1, %0, %0" : "+x"(high[r]) : "x"(_mm256_madd_epi16(second, y)));
        }
    }
    UNROLL for (int r = 0; r < R; r++) /* add the two halves of each sum, and restore the order of the outputs */
        _mm256_storeu_si256((__m256i *)sums[r],
                            _mm256_permute4x64_epi64(_mm256_hadd_epi32(low[r], high[r]), _MM_SHUFFLE(3, 1, 2, 0)));
}

#elif defined __ARM_FEATURE_DOTPROD

#define COLUMNS 16
INLINE void multiply_tile_int8(int R, const Level *x, int32_t stride, const int8_t *w, int32_t depth,
                               int32_t sums[ROWS][COLUMNS]) {
    int32x4_t a[ROWS][4];
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int c = 0; c < 4; c++) a[r][c] = vdupq_n_s32(0);
    for (int32_t k = 0; k < depth; k += 4, w += PANEL * 4) {
        int8x16_t b[4];
        UNROLL for (int c = 0; c < 4; c++) b[c] = vld1q_s8(w + c * 16);
        UNROLL for (int r = 0; r < R; r++) {
            int32_t four;
            memcpy(&four, x + (size_t)r * stride + k, sizeof four);
            int8x16_t y = vreinterpretq_s8_s32(vdupq_n_s32(four));
            UNROLL for (int c = 0; c < 4; c++) a[r][c] = vdotq_s32(a[r][c], b[c], y);
        }
    }
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int c = 0; c < 4; c++) vst1q_s32(sums[r] + c * 4, a[r][c]);
}

#else

#define COLUMNS 16
INLINE void multiply_tile_int8(int R, const Level *x, int32_t stride, const int8_t *w, int32_t depth,
                               int32_t sums[ROWS][COLUMNS]) {
    for (int r = 0; r < R; r++)
        for (int c = 0; c < COLUMNS; c++) sums[r][c] = 0;
    for (int32_t k = 0; k < depth; k += 4, w += PANEL * 4)
        for (int r = 0; r < R; r++) {
            const Level *four = x + (size_t)r * stride + k;
            for (int c = 0; c < COLUMNS; c++)
                sums[r][c] +=
                    four[0] * w[c * 4] + four[1] * w[c * 4 + 1] + four[2] * w[c * 4 + 2] + four[3] * w[c * 4 + 3];
        }
}

#endif

/* The part of W x + b for R rows and COLUMNS outputs, beginning at output `first`. */
INLINE void multiply_columns_int8(int R, const Product *product, const Rows *rows, int32_t row, int32_t first,
                                  float *out, int32_t out_stride) {
    const Level *x = (const Level *)rows->values + (size_t)row * rows->stride;
    const int8_t *w =
        (const int8_t *)product->weights + (size_t)(first / PANEL) * PANEL * product->depth + first % PANEL * 4;
    int32_t sums[ROWS][COLUMNS];
    multiply_tile_int8(R, x, rows->stride, w, product->depth, sums);
    UNROLL for (int r = 0; r < R; r++) {
        float scale = product->bounded ? 1.0f / 127.0f : rows->scales[row + r];
        UNROLL for (int c = 0; c < COLUMNS; c += LANES) {
            Integers sum;
            memcpy(&sum, sums[r] + c, sizeof sum);
            if (LEVEL_OFFSET) {
                Integers offset;
                memcpy(&offset, product->sums + first + c, sizeof offset);
                sum -= offset;
            }
            Lanes y = __builtin_convertvector(sum, Lanes) * (load(product->scales + first + c) * scale) +
                      load(product->bias + first + c);
            store(out + (size_t)(row + r) * out_stride + first + c, y);
        }
    }
}

#if LANES == 8
#define FLOAT_VECTORS 2
#else
#define FLOAT_VECTORS 4
#endif

INLINE void multiply_columns_float(int R, const Product *product, const Rows *rows, int32_t row, int32_t first,
                                   float *out, int32_t out_stride) {
    const float *x = (const float *)rows->values + (size_t)row * rows->stride;
    const float *w =
        (const float *)product->weights + (size_t)(first / PANEL) * PANEL * product->inputs + first % PANEL;
    Lanes a[ROWS][FLOAT_VECTORS];
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int c = 0; c < FLOAT_VECTORS; c++) a[r][c] =
        load(product->bias + first + c * LANES);
    for (int32_t k = 0; k < product->inputs; k++, w += PANEL) {
        Lanes b[FLOAT_VECTORS];
        UNROLL for (int c = 0; c < FLOAT_VECTORS; c++) b[c] = load(w + c * LANES);
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int c = 0; c < FLOAT_VECTORS; c++) a[r][c] +=
            b[c] * x[(size_t)r * rows->stride + k];
    }
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int c = 0; c < FLOAT_VECTORS; c++)
        store(out + (size_t)(row + r) * out_stride + first + c * LANES, a[r][c]);
}

/* Multiply R rows, a constant. */
INLINE void multiply_rows(int R, int precision, const Product *product, const Rows *rows, int32_t row, int32_t panel,
                          float *out, int32_t out_stride) {
    if (precision == NMT_INT8)
        for (int32_t first = panel; first < panel + PANEL; first += COLUMNS)
            multiply_columns_int8(R, product, rows, row, first, out, out_stride);
    else
        for (int32_t first = panel; first < panel + PANEL; first += FLOAT_VECTORS * LANES)
            multiply_columns_float(R, product, rows, row, first, out, out_stride);
}

/* Compute W x + b for N rows x. Each row of `out` has room for `product->width` numbers. */
static void multiply(const nmt_network *network, const Product *product, const Rows *rows, int32_t N, float *out,
                     int32_t out_stride) {
    int precision = network->architecture.precision;
    int32_t tiles = (N + ROWS - 1) / ROWS;
    for (int32_t panel = 0; panel < product->width; panel += PANEL)
        for (int32_t row = 0, tile = 0; tile < tiles; tile++) {
            int32_t count = (N - row) / (tiles - tile); /* tiles of similar size */
            CALL_UNROLLED(count, multiply_rows, precision, product, rows, row, panel, out, out_stride);
            row += count;
        }
}

#endif
