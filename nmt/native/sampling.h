/* Random numbers of samples: Philox4x32-10 (Salmon et al. 2011), a function of a key and a counter. nmt/search/philox.py
   computes the same numbers. */

#ifndef NMT_SAMPLING_H
#define NMT_SAMPLING_H

#include <math.h>
#include <stdint.h>

static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t words[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t first = (uint64_t)c0 * 0xD2511F53u, second = (uint64_t)c2 * 0xCD9E8D57u;
        c0 = (uint32_t)(second >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)second;
        c2 = (uint32_t)(first >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)first;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    words[0] = c0, words[1] = c1, words[2] = c2, words[3] = c3;
}

/* Derive the key of a sample from the seed, the number of the sample and the ids of the sentence. */
static void derive_key(uint32_t seed, uint32_t number, const int32_t *ids, int32_t length, uint32_t key[2]) {
    key[0] = seed;
    key[1] = number;
    for (int32_t i = 0; i < length; i++) {
        uint32_t counter[4] = {(uint32_t)ids[i], (uint32_t)i, 0, 0}, words[4];
        philox(counter, key, words);
        key[0] = words[0];
        key[1] = words[1];
    }
}

/* Draw numbers from the standard Gumbel distribution for tokens in ascending order. One counter yields the numbers of
   four tokens. */
typedef struct {
    const uint32_t *key;
    uint32_t step;
    int64_t block; /* of the words; -1 before the first */
    uint32_t words[4];
} Gumbel;

static double draw_gumbel(Gumbel *gumbel, int32_t token) {
    if (gumbel->block != token / 4) {
        uint32_t counter[4] = {(uint32_t)token / 4, gumbel->step, 0, 1};
        philox(counter, gumbel->key, gumbel->words);
        gumbel->block = token / 4;
    }
    return -log(-log((gumbel->words[token % 4] + 0.5) * 0x1p-32));
}

/* Return the number that is at place `rank` if the numbers (n) are sorted in descending order. They are reordered. */
static float select_rank(float *numbers, int32_t n, int32_t rank) {
    int32_t first = 0, last = n - 1;
    while (first < last) {
        float pivot = numbers[(first + last) / 2];
        int32_t low = first, high = last;
        while (low <= high) {
            while (numbers[low] > pivot) low++;
            while (numbers[high] < pivot) high--;
            if (low > high) break;
            float swapped = numbers[low];
            numbers[low++] = numbers[high];
            numbers[high--] = swapped;
        }
        if (rank <= high)
            last = high;
        else if (rank >= low)
            first = low;
        else
            break;
    }
    return numbers[rank];
}

#endif
