/* arch: the table of model families. A family is one row: its names in both worlds, and what is special about its tensors. */
#ifndef RAPT_MODEL_ARCH_H
#define RAPT_MODEL_ARCH_H

#include "base/status.h"
#include "num/act.h"

enum tensor_role { /* the tensors of one decoder layer, then the model's own */
                   TENSOR_NORM1,
                   TENSOR_Q,
                   TENSOR_K,
                   TENSOR_V,
                   TENSOR_O,
                   TENSOR_NORM2,
                   TENSOR_GATE,
                   TENSOR_UP,
                   TENSOR_DOWN,
                   TENSOR_Q_NORM,
                   TENSOR_K_NORM, /* of each head, in families that norm queries and keys */
                   TENSOR_POST1,
                   TENSOR_POST2, /* behind attention and feed-forward, before they are added (Gemma) */
                   TENSOR_QKV,
                   TENSOR_GATE_UP, /* one tensor for both or all three (Phi-3) */
                   TENSOR_EMBED,
                   TENSOR_NORM,
                   TENSOR_HEAD,
                   TENSOR_SCORE,      /* reward models: the head of *ForSequenceClassification */
                   TENSOR_REGRESSION, /* and of ArmoRM */
                   TENSOR_ROLES
};

struct tensor_name {
    const char *hf; /* with %zu for the layer where it has one; without ".weight" */
    const char *gguf;
};

struct renamed {
    enum tensor_role role;
    struct tensor_name name;
};

/* Which layers look back only sliding_window positions. */
enum window_rule {
    WINDOW_NEVER,
    WINDOW_ALL,     /* all, where sliding_window is stated */
    WINDOW_FROM,    /* where use_sliding_window is true, those from max_window_layers on */
    WINDOW_PATTERN, /* all but every local_step-th */
};

/* What stands on the decoder. */
enum head_kind {
    HEAD_LM,    /* logits of the vocabulary */
    HEAD_SCORE, /* *ForSequenceClassification: `labels` numbers from the last token that is no padding */
    HEAD_GATED  /* ArmoRM (arXiv 2406.12845): such numbers, weighted by a network that reads the prompt's end */
};

struct family {
    const char *name;         /* "llama" */
    const char *architecture; /* "LlamaForCausalLM" in config.json */
    const char *classifier;   /* as a reward model; NULL = the same with ForSequenceClassification */
    const char *gated;        /* with ArmoRM's head; NULL = there is none */
    const char *model_type;   /* there too; NULL = name */
    const char *gguf_arch;    /* general.architecture */
    bool gguf_permutes_qk;    /* convert_hf_to_gguf interleaves the halves of each q and k head */
    bool qkv_bias;            /* always; others say attention_bias in their config, for q, k, v and o */
    bool qk_norm;             /* RMSNorm of every query and key head before rotation */
    bool fused;               /* TENSOR_QKV and TENSOR_GATE_UP instead of their parts */
    bool gemma;               /* embeddings times sqrt(C), norm weights stored minus 1, norms behind attention and feed-forward,
                                 query_pre_attn_scalar, soft-caps */
    bool says_attention_bias, says_mlp_bias; /* keys that its config.json has */
    size_t no_rope_step;                     /* in GGUF: every so many layers one has no rotation; 0 = all have */
    enum window_rule windows;
    size_t local_step;             /* WINDOW_PATTERN */
    double local_rope_base;        /* of the layers with a window; 0 = as the others */
    enum glu_kind act;             /* in GGUF, which does not say */
    const struct renamed *renamed; /* where its names are not Llama's; ends with a NULL name; may be NULL */
    const char *help;
};
extern const struct family family_table[];
extern const size_t family_count;

/* NULL where there is none; *head: which of the family's models it is. */
const struct family *family_by_architecture(enum head_kind *head, const char *name);
#define FAMILY_ARCHITECTURE_SIZE 64
void family_architecture(char out[FAMILY_ARCHITECTURE_SIZE], const struct family *f, enum head_kind head);
const struct family *family_by_gguf(const char *name, size_t size);
/* "llama (LlamaForCausalLM), ..." for messages. */
const char *family_list(void);

/* "q_proj, k_proj, ...": what LoRA's targets may be called. */
void family_target_list(char *out, size_t size, const struct family *f);

#define TENSOR_NAME_SIZE 128
/* "model.layers.3.self_attn.q_proj" or "blk.3.attn_q"; without ".weight". */
void family_tensor_name(char out[TENSOR_NAME_SIZE], const struct family *f, enum tensor_role role, size_t layer, bool gguf);

#endif
