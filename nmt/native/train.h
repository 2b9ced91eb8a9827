/* The interface of the native library for training: loops over the time steps of a batch, in float32.

   A loop computes what depends on the step before. What can be computed for all steps at once, such as gradients of
   weights, is the caller's. Arrays of all time steps have the shape (T, B, ·): B rows, the sentences of a batch, at each
   of T steps. The rows do not depend on each other, so threads can compute ranges of rows at once.
   nmt/model/autograd/native.py declares the same structures for Python. */

#ifndef NMT_TRAIN_H
#define NMT_TRAIN_H

#include "nmt.h"

#define NMT_LANES 16 /* the sizes of layers are multiples of this */

/* Compute the number of floats of the packed form of a matrix (K, N). */
NMT_API int64_t nmt_matrix_size(int64_t K, int64_t N);

/* Pack a matrix (K, N), the right factor of products. Element (k, n) is values[k * row + n * column]. */
NMT_API void nmt_pack_matrix(const float *values, int64_t row, int64_t column, int64_t K, int64_t N, float *packed);

/* Compute the product (M, N) of a matrix (M, K) and a packed matrix (K, N). */
NMT_API int nmt_multiply(int64_t M, int64_t K, int64_t N, const float *left, const float *packed, float *product);

/* An LSTM layer: z = W x + U (m * h) + b, with the gates i, f, g, o.

   The left factors of its products are rows of D + H numbers: x, and the masked h of the step before. `weights` is the
   packed matrix (D + H, 4H) of W and U, and `transposed` is (4H, D + H). */
typedef struct {
    int32_t inputs, size;                 /* D and H. D can be 0: then W x is already in `gates` */
    const float *weights, *transposed;    /* for forward and for backward */
    const float *bias;                    /* (4H), or NULL: `gates` contains what is added to the product */
    const float *input_mask, *state_mask; /* (B, D) and (B, H): dropout masks, or NULL */
    float *left;                          /* (T + 1, B, D + H); h of step 0 is the caller's */
    float *gates;                         /* (T, B, 4H): the activations i, f, g, o */
    float *cells;                         /* (T + 1, B, H): c; that of step 0 is the caller's */
    float *d_gates;                       /* (T, B, 4H): the gradient of z */
    float *d_hidden, *d_cell; /* (B, H): the gradients of h and c after the last step, then before the first */
} nmt_train_lstm;

/* Run a layer with D = 0. `outputs` (T, B, H) receives h, or is NULL: without a mask, `left` contains h. */
NMT_API int nmt_lstm_forward(const nmt_train_lstm *layer, int32_t steps, int32_t batch, int32_t first, int32_t rows,
                             float *outputs);
/* Run the backward pass. `d_outputs` (T, B, H) are the gradients of h. */
NMT_API int nmt_lstm_backward(const nmt_train_lstm *layer, int32_t steps, int32_t batch, int32_t first, int32_t rows,
                              const float *d_outputs);

/* The normalization of the outputs h of a layer (Ba et al. 2016): y = g * n + b, n = (h - mean) / deviation, where
   10^-5 is added to the square of the deviation, as in nn.LayerNorm of PyTorch. */
typedef struct {
    const float *gain, *bias; /* (H): g and b */
    float *normalized;        /* (T, B, H): n */
    float *scales;            /* (T, B): 1 / deviation */
    float *d_outputs;         /* (T, B, H): the gradient of y */
} nmt_train_norm;

/* A decoder with input feeding: LSTM layers, the first of which reads the attentional vector v of the step before, and
   attention a = softmax(k q) for the output q of the last layer. v = tanh(V q + Σ a_s u_s + b), where u_s is the
   product of value s with the context's part of the weights. */
typedef struct {
    int32_t steps, batch, size, sources, layers, residual;
    const nmt_train_lstm *lstms;              /* x of the first layer is v */
    const nmt_train_norm *norms;              /* of each layer, or NULL */
    const float *keys, *values;               /* (B, S, H): k and u */
    const uint8_t *mask;                      /* (B, S): 1 at source tokens, 0 at padding */
    const float *weights, *transposed, *bias; /* V, packed (H, H) for forward and backward, and b */
    float *queries, *vectors;                 /* (T, B, H): q and v */
    float *attention;                         /* (B, T, S): a */
    const float *d_vectors;                   /* (T, B, H) */
    const float *d_attention;                 /* (B, T, S), or NULL */
    float *d_sums, *d_scores; /* (T, B, H), the gradients in front of tanh, and (B, T, S), those of k q */
} nmt_train_decoder;

/* The output layer with the cross entropy of targets y: z = W x + b, p = softmax(z), and the loss -Σ q log p, where q is
   1 - ε at the target, and ε / V more at each of the V tokens. The gradient of z is p - q. */
typedef struct {
    int64_t size, tokens;              /* D and V */
    const float *vectors;              /* (R, D): x */
    const float *weights, *transposed; /* W, packed as (D, V) for forward and as (V, D) for backward */
    const float *bias, *weight_sums;   /* b (V), and the sum of the rows of W (D) */
    const int64_t *targets;            /* (R): y */
    double label_smoothing;            /* ε */
    float *d_vectors;                  /* (R, D) */
} nmt_train_softmax;

/* Compute the loss of `rows` rows, beginning with row `first`. `d_weights` receives the packed
   gradient (D + 1, V) of W and b; without it, only the loss is computed. */
NMT_API int nmt_softmax(const nmt_train_softmax *softmax, int64_t first, int64_t rows, float *d_weights, double *loss);

/* Write rows `first` to `first + rows` of a packed matrix (K, N) to `values`, at k * row + n * column. */
NMT_API void nmt_unpack_matrix(const float *packed, int64_t K, int64_t N, int64_t first, int64_t rows, float *values,
                               int64_t row, int64_t column);

NMT_API int nmt_decoder_forward(const nmt_train_decoder *decoder, int32_t first, int32_t rows);
NMT_API int nmt_decoder_backward(const nmt_train_decoder *decoder, int32_t first, int32_t rows);

#endif
