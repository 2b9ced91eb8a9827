/* Vectors of floats, as long as the processor's registers, and the functions of the network that are computed element
   by element. All of them are plain C with the vector extension of gcc and clang. */

#ifndef NMT_VECTORS_H
#define NMT_VECTORS_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined __AVX2__
#include <immintrin.h>
#endif

#if defined __AVX512F__
#define LANES 16
#elif defined __AVX2__
#define LANES 8
#else
#define LANES 4
#endif

/* Sums are computed in this many parts on every processor, so that they round in the same way. */
#define PARTS 16
#define VECTORS (PARTS / LANES)

#define INLINE static inline __attribute__((always_inline))

/* Call an INLINE function with 1 to 6 rows and other arguments. In each call, the number of rows is a constant, so the
   loops over rows are unrolled and their sums are in registers. */
#define CALL_UNROLLED(rows, function, ...)                                                                             \
    switch (rows) {                                                                                                    \
    case 1:                                                                                                            \
        function(1, __VA_ARGS__);                                                                                      \
        break;                                                                                                         \
    case 2:                                                                                                            \
        function(2, __VA_ARGS__);                                                                                      \
        break;                                                                                                         \
    case 3:                                                                                                            \
        function(3, __VA_ARGS__);                                                                                      \
        break;                                                                                                         \
    case 4:                                                                                                            \
        function(4, __VA_ARGS__);                                                                                      \
        break;                                                                                                         \
    case 5:                                                                                                            \
        function(5, __VA_ARGS__);                                                                                      \
        break;                                                                                                         \
    case 6:                                                                                                            \
        function(6, __VA_ARGS__);                                                                                      \
        break;                                                                                                         \
    }

typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t Integers __attribute__((vector_size(LANES * sizeof(int32_t))));

INLINE Lanes load(const float *place) {
    Lanes x;
    memcpy(&x, place, sizeof x);
    return x;
}

INLINE void store(float *place, Lanes x) { memcpy(place, &x, sizeof x); }

INLINE Lanes fill(float x) { return (Lanes){0} + x; }

INLINE Lanes choose(Integers condition, Lanes yes, Lanes no) {
    return (Lanes)((condition & (Integers)yes) | (~condition & (Integers)no));
}

/* gcc makes two instructions of each of these conditions, where x86 has one with the same result. */
#if defined __AVX512F__
INLINE Lanes maximum(Lanes x, Lanes y) { return (Lanes)_mm512_max_ps((__m512)x, (__m512)y); }
INLINE Lanes minimum(Lanes x, Lanes y) { return (Lanes)_mm512_min_ps((__m512)x, (__m512)y); }
#elif defined __AVX2__
INLINE Lanes maximum(Lanes x, Lanes y) { return (Lanes)_mm256_max_ps((__m256)x, (__m256)y); }
INLINE Lanes minimum(Lanes x, Lanes y) { return (Lanes)_mm256_min_ps((__m256)x, (__m256)y); }
#else
INLINE Lanes maximum(Lanes x, Lanes y) { return choose(x > y, x, y); }
INLINE Lanes minimum(Lanes x, Lanes y) { return choose(x < y, x, y); }
#endif

/* Round to whole numbers between -2^22 and 2^22. */
INLINE Lanes round_lanes(Lanes x) {
    const float shift = 12582912.0f; /* 1.5 * 2^23: the sum has no bits after the point */
    return (x + shift) - shift;
}

/* e^x for x between -87 and 88, with a relative error of about 2^-22. Cephes' polynomial of expf. If x is not a number,
   the result is not a number, because `maximum` and `minimum` then return their second argument. */
INLINE Lanes exp_lanes(Lanes x) {
    x = minimum(fill(88.0f), maximum(fill(-87.0f), x));
    Lanes n = round_lanes(x * 1.44269504f), r = x - n * 0.693359375f + n * 2.12194440e-4f;
    Lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    Integers power = (__builtin_convertvector(n, Integers) + 127) << 23; /* the bits of 2^n */
    return p * (Lanes)power;
}

INLINE Lanes sigmoid_lanes(Lanes x) { return 1.0f / (1.0f + exp_lanes(-x)); }

INLINE Lanes tanh_lanes(Lanes x) { return 2.0f / (1.0f + exp_lanes(-2.0f * x)) - 1.0f; }

/* Add the PARTS parts of a sum, always in the same order. */
INLINE float add_parts(const Lanes *parts) {
    float sums[PARTS];
    memcpy(sums, parts, sizeof sums);
    for (int half = PARTS / 2; half; half /= 2)
        for (int i = 0; i < half; i++) sums[i] += sums[i + half];
    return sums[0];
}

INLINE float largest_lane(Lanes x) {
    float values[LANES];
    store(values, x);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) values[i] = values[i] > values[i + half] ? values[i] : values[i + half];
    return values[0];
}

/* Apply tanh to x (n), in place. The memory of the last vector is written in whole. */
INLINE void apply_tanh(float *x, int32_t n) {
    for (int32_t i = 0; i < n; i += LANES) store(x + i, tanh_lanes(load(x + i)));
}

/* Compute the softmax of scores (n) in place. The scores are padded to a multiple of PARTS. */
INLINE void apply_softmax(float *scores, int32_t n) {
    int32_t padded = (n + PARTS - 1) / PARTS * PARTS;
    for (int32_t i = n; i < padded; i++) scores[i] = -INFINITY;
    Lanes largest = fill(-INFINITY), sum[VECTORS] = {{0}};
    for (int32_t i = 0; i < padded; i += LANES) largest = maximum(largest, load(scores + i));
    float highest = largest_lane(largest);
    for (int32_t i = 0; i < padded; i += PARTS)
        for (int v = 0; v < VECTORS; v++) {
            Lanes power = exp_lanes(load(scores + i + v * LANES) - highest);
            store(scores + i + v * LANES, power);
            sum[v] += power;
        }
    for (int32_t i = n; i < padded; i++) scores[i] = 0; /* their powers, e^-87, are lost in the sum */
    float scale = 1.0f / add_parts(sum);
    for (int32_t i = 0; i < n; i += LANES) store(scores + i, load(scores + i) * scale);
}

#endif
