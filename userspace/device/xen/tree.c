// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

bool tree_is_below(const char *path, const char *top)
{
	size_t length = strlen(top);

	return !strncmp(path, top, length) && (!path[length] || path[length] == '/');
}

static struct tree_node *find(const struct tree *tree, const char *path)
{
	for (unsigned int i = 0; i < tree->count; i++)
		if (!strcmp(tree->nodes[i].path, path))
			return &tree->nodes[i];
	return NULL;
}

const struct tree_node *tree_find(const struct tree *tree, const char *path)
{
	return find(tree, path);
}

static void free_node(struct tree_node *node)
{
	free(node->path);
	free(node->value);
}

static int fill(struct tree_node *node, const char *value, size_t bytes)
{
	/* With an end, so that it can be read as a string. */
	char *copy = calloc(1, bytes + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, value, bytes);
	free(node->value);
	node->value = copy;
	node->bytes = bytes;
	return 0;
}

static int add(struct tree *tree, const char *path, const char *value, size_t bytes)
{
	struct tree_node node = { .path = strdup(path) }, *nodes;
	int ret = node.path ? fill(&node, value, bytes) : -ENOMEM;

	if (!ret) {
		nodes = reallocarray(tree->nodes, tree->count + 1, sizeof(*nodes));
		if (nodes) {
			tree->nodes = nodes;
			nodes[tree->count++] = node;
			return 0;
		}
		ret = -ENOMEM;
	}
	free_node(&node);
	return ret;
}

int tree_set(struct tree *tree, const char *path, const char *value, size_t bytes)
{
	struct tree_node *node = find(tree, path);
	char parent[TREE_MAX_PATH];
	char *slash;
	int ret;

	if (node)
		return fill(node, value, bytes);
	if (tree->count >= TREE_MAX_NODES || strlen(path) >= sizeof(parent))
		return -ENOSPC;
	strcpy(parent, path);
	slash = strrchr(parent, '/');
	if (slash && slash != parent) {
		*slash = 0;
		ret = find(tree, parent) ? 0 : tree_set(tree, parent, "", 0);
		if (ret)
			return ret;
	}
	return tree->count < TREE_MAX_NODES ? add(tree, path, value, bytes) : -ENOSPC;
}

void tree_remove(struct tree *tree, const char *path)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < tree->count; i++) {
		if (tree_is_below(tree->nodes[i].path, path))
			free_node(&tree->nodes[i]);
		else
			tree->nodes[left++] = tree->nodes[i];
	}
	tree->count = left;
}

int tree_list(const struct tree *tree, const char *path, char *names, size_t room)
{
	size_t length = strcmp(path, "/") ? strlen(path) : 0, used = 0;

	for (unsigned int i = 0; i < tree->count; i++) {
		const char *name = tree->nodes[i].path;
		size_t bytes;

		if (strncmp(name, path, length) || name[length] != '/' || strchr(name + length + 1, '/'))
			continue;
		name += length + 1;
		bytes = strlen(name) + 1;
		if (bytes > room - used)
			return -E2BIG;
		memcpy(names + used, name, bytes);
		used += bytes;
	}
	return (int)used;
}

int tree_copy(struct tree *to, const struct tree *from)
{
	int ret = 0;

	*to = (struct tree){ 0 };
	for (unsigned int i = 0; i < from->count && !ret; i++)
		ret = add(to, from->nodes[i].path, from->nodes[i].value, from->nodes[i].bytes);
	if (ret)
		tree_free(to);
	return ret;
}

void tree_free(struct tree *tree)
{
	for (unsigned int i = 0; i < tree->count; i++)
		free_node(&tree->nodes[i]);
	free(tree->nodes);
	*tree = (struct tree){ 0 };
}
