/* A packed network in memory: pointers into the packed file, and what follows from the architecture. */

#ifndef NMT_NETWORK_H
#define NMT_NETWORK_H

#include "nmt.h"

#include <stdatomic.h>

#define PANEL 64 /* the number of outputs whose weights are stored together */
#define MAX_LAYERS 32

/* y = W x + b, with D inputs and F outputs.

   The weights of PANEL outputs are stored together, and the inputs of a panel one after the other. In float32, a panel
   is (D, PANEL). In int8, four inputs of an output are adjacent: (D / 4, PANEL, 4), because this is what the products
   of all processors read. D is then rounded up to a multiple of 4, with weights of zero. */
typedef struct {
    int32_t inputs, outputs; /* D and F */
    int32_t depth, width;    /* D and F, rounded up */
    int32_t bounded;         /* whether all inputs are between -1 and 1, so that a constant scale fits them (int8) */
    const void *weights;
    const float *scales; /* (width) the scale of each row of W, only in int8 */
    const int32_t *sums; /* (width) 128 times the sum of each row of W in int8, for processors with unsigned inputs */
    const float *bias;   /* (width) */
} Product;

/* A recurrent layer in one direction. */
typedef struct {
    Product input;     /* W x + b; without inputs if the layer is joint, or has no inputs but an embedding */
    Product recurrent; /* U h + b; of a joint layer [W U] [x; h] + b */
    int32_t joint, size, gates;
} Layer;

/* Rows of embeddings: int8 with a scale for each row, or float. */
typedef struct {
    int32_t size; /* the size of a row */
    const void *rows;
    const float *scales; /* (V), only in int8 */
} Embeddings;

/* W x + b for the embedding x of every token, in 16 bits with a scale for each row, or float. */
typedef struct {
    int32_t size, stride; /* a row, and the distance between two rows */
    const void *rows;     /* NULL: the table would be too large, `product` computes the rows */
    const float *scales;
    Product product;
} Table;

/* What the rows of a table are computed from when they are first needed. A file is then much smaller than the table. */
typedef struct {
    nmt_tensor embedding;
    float *matrix, *bias;          /* W (E, F), and b */
    _Atomic unsigned char *states; /* (V) of the rows */
} LazyTable;

typedef struct {
    const float *gain, *bias; /* NULL without layer normalization */
} Norm;

typedef struct {
    Product key, value, query, output; /* without inputs where the kind of attention does not have them */
    const float *score;                /* (H) of additive attention */
    int32_t key_size, value_size, context_size;
    int32_t folded; /* whether the values are already multiplied by the context's half of the attentional vector */
} Attention;

struct nmt_network {
    nmt_architecture architecture;
    int32_t states;                     /* tensors of a cell's state: 2 for an LSTM (h and c), otherwise 1 */
    int32_t encoder_bounded;            /* whether all outputs of the encoder are between -1 and 1 */
    int32_t hidden_bounded[MAX_LAYERS]; /* the same of the output of each decoder layer */
    const char *metadata;
    int64_t metadata_size;
    Embeddings source, target;
    Layer encoder[MAX_LAYERS][2]; /* forward and backward */
    Norm encoder_norms[MAX_LAYERS];
    Product bridge;
    Table table;
    LazyTable *lazy; /* NULL if the table is complete */
    Layer decoder[MAX_LAYERS];
    Norm decoder_norms[MAX_LAYERS];
    Attention attention;
    Product combine;
    Product project;         /* without inputs if it is multiplied into the output layer */
    Product output;          /* for all tokens */
    const void *output_rows; /* the weights of `output` row by row, (V, depth), for shortlists */
    const int32_t *frequent; /* (frequent) */
    const int32_t *best;     /* (source tokens, best) */
};

static inline int32_t round_up(int32_t number, int32_t multiple) {
    return (number + multiple - 1) / multiple * multiple;
}

/* Lay out a network in memory that begins at `base`. Return the number of bytes, or 0 if the architecture is not
   supported. With a `base` of NULL, only the number of bytes is computed. */
int64_t nmt_lay_out(nmt_network *network, const nmt_architecture *architecture, const char *base,
                    int64_t metadata_size);

/* Pack a network, as nmt_pack does. If `lazy` is not NULL, the rows of the table are left out, and it receives what they
   are computed from, or NULL if there is no table. Its embedding is that of `tensors`, which must stay in place. */
int nmt_pack_network(const nmt_architecture *architecture, const nmt_tensor *tensors, int32_t count,
                     const int32_t *frequent, const int32_t *best, const char *metadata, int64_t metadata_size,
                     void *packed, LazyTable **lazy);
LazyTable *nmt_free_lazy(LazyTable *lazy); /* returns NULL */

/* out (N, F) += X (N, E) W (E, F). The result is the same on every processor of a kind. */
void nmt_add_product(const float *x, const float *matrix, int32_t N, int32_t E, int32_t F, float *out);

/* Compute a row of the table of a network with `lazy`, unless it is there. Any number of threads can do so at once. */
int nmt_fill_row(const nmt_network *network, int32_t token);

/* The first bytes of a packed file. */
typedef struct {
    char magic[8];
    int32_t version;
    int32_t byte_order; /* 1, read as another number on machines with another byte order */
    int64_t metadata_size;
    nmt_architecture architecture;
} FileHeader;

#define MAGIC "nmt-pack"

#endif
