/* The interface of the native library.

   Text to text: open a model file, which `nmt-export --format c` writes, and translate text. This is all that a program
   needs that embeds the library; docs/howto/embed.md shows it.

   Ids to ids: pack a network, open a packed network, and search translations with it. nmt uses this part, and
   nmt/native/library.py declares its structures for Python.

   The library has no global state. Models and networks are read-only, so any number of threads can use them at once. */

#ifndef NMT_H
#define NMT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NMT_API __attribute__((visibility("default")))
#define NMT_VERSION 1   /* of packed files */
#define NMT_INTERFACE 6 /* of the functions and structures below */

enum { NMT_PAD, NMT_UNKNOWN, NMT_BOS, NMT_EOS }; /* the ids of the special tokens */
enum { NMT_LSTM, NMT_GRU, NMT_RNN };
enum { NMT_INPUT_FEEDING, NMT_PARALLEL };
enum { NMT_DOT, NMT_GENERAL, NMT_ADDITIVE, NMT_MULTI_HEAD };
enum { NMT_BRIDGE_NONE, NMT_BRIDGE_FINAL, NMT_BRIDGE_MEAN };
enum { NMT_INT8, NMT_FLOAT32 };

/* What a function returns. `nmt_message` gives a sentence for each. */
enum {
    NMT_OK,
    NMT_NO_MEMORY,    /* memory cannot be allocated */
    NMT_BAD_FILE,     /* a file is damaged, or of another version */
    NMT_BAD_ARGUMENT, /* an argument is out of its bounds, or asks for what the library does not support */
    NMT_NOT_A_NUMBER, /* a probability of the network is not a number */
    NMT_STOPPED,      /* the function `identify` asked to stop */
    NMT_NO_FILE,      /* a file cannot be read */
    NMT_BAD_TEXT,     /* a text is not UTF-8, or has a line of more than NMT_MAX_LINE bytes */
    NMT_BAD_LANGUAGE, /* the model has not the target language, or has several and none was named */
};

/* Return a message in English for what a function returned, without a line feed. */
NMT_API const char *nmt_message(int status);

/* ---- Text to text ---- */

#define NMT_MAX_LINE (1 << 20) /* the maximum length of a line, in bytes */

typedef struct nmt_model nmt_model;

/* How to translate. Set the defaults with `nmt_set_defaults`, and change what should differ. nmt/search/options.py
   describes the options of the same names. */
typedef struct {
    const char *to; /* the target language, such as "de"; NULL: the only one */
    int32_t split;  /* 1: translate each sentence of a line separately, 0: do not, -1: as the model was trained */
    int32_t guard;  /* 1: search translations with loops again, and keep text without letters; 0; -1: the default */
    int32_t beam;   /* the number of hypotheses that are kept; 1 is greedy search */
    int32_t min_length, max_length_extra, no_repeat_ngram_size;
    double max_length_factor;
    double length_penalty; /* -1: that of the model */
    double coverage_penalty;
} nmt_translation_options;

NMT_API void nmt_set_defaults(nmt_translation_options *options);

/* Read a model file, or its content. After a failure, `*model` is NULL. */
NMT_API int nmt_open_model(const char *path, nmt_model **model);
NMT_API int nmt_open_model_content(const void *content, int64_t size, nmt_model **model); /* the content is copied */
NMT_API void nmt_close_model(nmt_model *model);                                           /* NULL is allowed */

/* Return a target language of a model, or NULL from the number of its languages on. */
NMT_API const char *nmt_target_language(const nmt_model *model, int32_t index);

/* Translate a text in UTF-8. Each line is translated by itself, and becomes one line without characters of zero.
   `options` can be NULL.

   `*translation` receives the translation, which ends with a byte of zero and is released with `nmt_free`. After a
   failure, it is NULL. */
NMT_API int nmt_translate(const nmt_model *model, const char *text, const nmt_translation_options *options,
                          char **translation);

/* The steps before and after the search. `nmt_prepare` writes a line as the network reads it: normalized, without white
   space at its ends, and in the usual case. `nmt_encode` returns the tokens of a text, and `nmt_decode` the text of
   tokens. */
NMT_API int nmt_prepare(const nmt_model *model, const char *line, char **prepared);
NMT_API int nmt_encode(const nmt_model *model, const char *text, int32_t **ids, int64_t *count);
NMT_API int nmt_decode(const nmt_model *model, const int32_t *ids, int64_t count, char **text);

/* Release what a function above returned. NULL is allowed. */
NMT_API void nmt_free(void *memory);

/* ---- Ids to ids ---- */

/* The architecture of a network. docs/configuration.md describes the keys of the same names. */
typedef struct {
    int32_t precision; /* of the packed weights: NMT_INT8 or NMT_FLOAT32 */
    int32_t cell, decoder, attention, attention_heads, bridge, layer_norm, residual;
    int32_t source_size, target_size, embedding_size;
    int32_t encoder_layers, encoder_size, decoder_layers, decoder_size;
    int32_t tied;           /* whether the output layer shares the weights of the target embeddings */
    int32_t frequent, best; /* the sizes of the shortlist: tokens for all sentences, tokens for each source token */
    float embedding_scale;
} nmt_architecture;

/* A tensor of a model folder. A matrix of bytes has a scale for each row. */
typedef struct {
    const void *values;  /* float, or int8_t if there are scales */
    const float *scales; /* NULL for float */
    int64_t size, rows;  /* the number of values, and of rows */
} nmt_tensor;

typedef struct nmt_network nmt_network;

/* Compute the size of the packed form of a network, in bytes. The result is 0 if the architecture is not supported.
   The packed form has the metadata of the caller, `metadata_size` bytes, in front of the weights. */
NMT_API int64_t nmt_packed_size(const nmt_architecture *architecture, int64_t metadata_size);

/* Pack a network into `packed`, which has `nmt_packed_size` bytes of zero and is aligned to 64 bytes.

   The order of the tensors is that of `walk_tensors` in pack.c, which packing.py follows. `frequent` and `best` are the
   arrays of the shortlist, or NULL. */
NMT_API int nmt_pack(const nmt_architecture *architecture, const nmt_tensor *tensors, int32_t count,
                     const int32_t *frequent, const int32_t *best, const char *metadata, int64_t metadata_size,
                     void *packed);

/* Check a packed network of `size` bytes and open it. The bytes must stay in place, aligned to 64 bytes, until
   `nmt_close`. Nothing outside of them is read. */
NMT_API int nmt_open(const void *packed, int64_t size, nmt_network **network);
NMT_API void nmt_close(nmt_network *network);

/* Return the metadata with which a network was packed, `size` bytes inside of the packed form. */
NMT_API const char *nmt_metadata(const nmt_network *network, int64_t *size);

/* A token that is possible in a state, and the state after it. The arcs of a state have ascending tokens. */
typedef struct {
    int32_t token, next;
} nmt_arc;

/* A term that must be in a translation in one of its forms, as whole words. */
typedef struct {
    const int32_t *ids;       /* the tokens of the forms, one form after the other */
    const int32_t *forms_end; /* (forms) form f is ids[forms_end[f - 1]] to ids[forms_end[f] - 1] */
    int32_t forms;
    int32_t initial;          /* the last `initial` forms can only begin a translation */
    const int32_t *positions; /* the positions of the source tokens of the term */
    int32_t position_count;
} nmt_term;

enum {
    NMT_CONTINUES_WORD = 1,
    NMT_ENDS_IN_WORD = 2,
    NMT_BEGINS_WITH_SPACE = 4,
    NMT_ENDS_IN_SPACE = 8
}; /* see nmt_options.edges */

/* One sentence to translate. */
typedef struct {
    const int32_t *ids;    /* the source tokens, NMT_EOS last */
    int32_t length;        /* the number of source tokens, NMT_EOS included */
    const int32_t *prefix; /* the tokens with which each translation begins */
    int32_t prefix_length;
    /* What can follow the prefix: states, each with the tokens that are possible in it and the states that follow. The
       search begins in state 0. A token leads only to later states. In state `states`, all tokens are possible. */
    const nmt_arc *arcs;
    const int32_t *arcs_end; /* (states) the arcs of state s are arcs[arcs_end[s - 1]] to arcs[arcs_end[s] - 1] */
    int32_t states;
    const nmt_term *terms; /* only for search, not for samples */
    int32_t term_count;    /* at most 64 */
    int32_t sample;        /* the number of the sample, if translations are sampled */
} nmt_sentence;

typedef struct {
    int32_t beam, nbest, min_length, max_length_extra;
    int32_t exact, attention, shortlist; /* 0 or 1 */
    double max_length_factor, length_penalty, coverage_penalty;
    const int32_t *banned; /* tokens that no translation contains */
    int32_t banned_count;
    const uint8_t *edges; /* for each target token, how it begins and ends. It decides what a whole word is, for terms.
                             NULL: nothing is known */
    int32_t sampling;     /* 1: draw a translation at random instead of searching for the best. The beam is then 1 */
    int32_t forced; /* 1: each translation is the prefix of its sentence, of which only the probabilities are computed.
                         The beam is then 1. Tokens before NMT_EOS are allowed, and have the probability 0 */
    int32_t seed, top_k; /* of sampling; 0: draw among all tokens */
    double temperature;
    int32_t no_repeat_ngram_size; /* no n-gram of this length occurs twice in a translation; 0: they may */
    int32_t group; /* the number of sentences that are searched at once, at most 16; 0 lets the library choose. This
                      does not change the translations */
    /* Return a number that is equal for hypotheses of a sentence that the caller does not distinguish, or a negative
       number to stop. NULL: all hypotheses are different. An n-best list has only the best of equal hypotheses. */
    int64_t (*identify)(int32_t sentence, const int32_t *ids, int32_t length);
} nmt_options;

/* The hypotheses of all sentences of a call: for each hypothesis h, ids[ids_end[h - 1]] to ids[ids_end[h] - 1] are its
   tokens without NMT_EOS, and accordingly for the attention weights: (tokens + 1) * source tokens of the sentence.
   Log P of its tokens and of NMT_EOS are token_log_probabilities[ids_end[h - 1] + h] to [ids_end[h] + h]. */
typedef struct {
    int64_t count;
    int32_t *sentences; /* the index of the sentence of each hypothesis; the hypotheses of a sentence are best first */
    double *log_probabilities, *scores;
    int64_t *ids_end, *attention_end;
    int32_t *ids;
    double *token_log_probabilities;
    float *attention; /* NULL unless the options ask for it */
} nmt_hypotheses;

/* Search the best translations of sentences, the longest first, with an ensemble of `members` networks, which have the
   same vocabularies.
   The result for a sentence does not depend on the other sentences. The shortlist is that of the first member. */
NMT_API int nmt_search(const nmt_network *const *networks, int32_t members, const nmt_sentence *sentences,
                       int32_t count, const nmt_options *options, nmt_hypotheses *hypotheses);
NMT_API void nmt_free_hypotheses(nmt_hypotheses *hypotheses);

/* Return the name of the code that this processor uses: "avx512vnni", "avx2", "neon" or "plain". The environment
   variable NMT_NATIVE can name a slower one. */
NMT_API const char *nmt_variant(void);
NMT_API int32_t nmt_version(void); /* NMT_INTERFACE */

#ifdef __cplusplus
}
#endif

#endif
