/* SPDX-License-Identifier: GPL-2.0-only */
/* The nodes of the store: paths with values.  All sizes are bounded, since the guest makes nodes. */
#ifndef DEVICE_XEN_TREE_H
#define DEVICE_XEN_TREE_H

#include <stdbool.h>
#include <stddef.h>

#define TREE_MAX_NODES	1024u
#define TREE_MAX_PATH	256u	/* with its end */
#define TREE_MAX_VALUE	2048u

struct tree_node {
	char *path;
	char *value;
	size_t bytes;
};

/** struct tree - nodes in no order; each one's parents are there, too, but for the root */
struct tree {
	struct tree_node *nodes;
	unsigned int count;
};

/** tree_find() - find a node; NULL */
const struct tree_node *tree_find(const struct tree *tree, const char *path);
/** tree_set() - give a node a value, which is copied, and make it and its parents; 0, -ENOSPC or -ENOMEM */
int tree_set(struct tree *tree, const char *path, const char *value, size_t bytes);
/** tree_remove() - remove a node and all below it */
void tree_remove(struct tree *tree, const char *path);
/** tree_list() - write the names of a node's children, each with its end; the bytes, or -E2BIG */
int tree_list(const struct tree *tree, const char *path, char *names, size_t room);
/** tree_copy() - make @to a copy; 0 or -ENOMEM, and it is empty then */
int tree_copy(struct tree *to, const struct tree *from);
void tree_free(struct tree *tree);
/** tree_is_below() - is @path @top, or below it? */
bool tree_is_below(const char *path, const char *top);

#endif
