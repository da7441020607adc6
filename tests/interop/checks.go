package main

import (
	"bytes"
	"fmt"
	"net/http"
	"sort"

	"golang.org/x/mod/sumdb/tlog"
)

// maxProven bounds how many entries get a proof: all of a small log, and as
// many of a large one, evenly spread, its first and last among them.
const maxProven = 600

// Each check is made against one verified checkpoint.
var checks = []struct {
	name string
	run  func(log *remoteLog, tree tlog.Tree, past []head) (detail string, err error)
}{
	{"root", checkRoot},
	{"entries", checkEntries},
	{"inclusion", checkInclusion},
	{"consistency", checkConsistency},
	{"partial", checkPartialTiles},
	{"absent", checkAbsentTiles},
}

// checkRoot computes the root from the tiles.
func checkRoot(log *remoteLog, tree tlog.Tree, _ []head) (string, error) {
	root, err := tlog.TreeHash(tree.N, tlog.TileHashReader(tree, log))
	if err == nil && root != tree.Hash {
		err = fmt.Errorf("tiles have root %v, checkpoint has %v", root, tree.Hash)
	}
	return "tiles have the signed root", err
}

// checkEntries hashes every leaf and compares it with the tiles of level 0.
func checkEntries(log *remoteLog, tree tlog.Tree, _ []head) (string, error) {
	for n := int64(0); n*tileWidth < tree.N; n++ {
		width := widthOf(n, tree.N)
		leaves, err := log.entries(n, width)
		if err != nil {
			return "", err
		}
		tile, err := log.tile(tlog.Tile{H: tileHeight, L: 0, N: n, W: width})
		if err != nil {
			return "", err
		}
		for i, leaf := range leaves {
			hash := tlog.RecordHash(leaf)
			if !bytes.Equal(hash[:], tile[i*tlog.HashSize:][:tlog.HashSize]) {
				return "", fmt.Errorf("entry %d is not what its tile has", n*tileWidth+int64(i))
			}
		}
	}
	return fmt.Sprintf("%d leaves are those of the tiles", tree.N), nil
}

// checkInclusion proves entries from the tiles, and checks the proofs.
func checkInclusion(log *remoteLog, tree tlog.Tree, _ []head) (string, error) {
	reader := tlog.TileHashReader(tree, log)
	indices := spread(tree.N)
	for _, index := range indices {
		leaves, err := log.entries(index/tileWidth, widthOf(index/tileWidth, tree.N))
		if err != nil {
			return "", err
		}
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		if err != nil {
			return "", fmt.Errorf("entry %d: %w", index, err)
		}
		leaf := tlog.RecordHash(leaves[index%tileWidth])
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf); err != nil {
			return "", fmt.Errorf("entry %d: %w", index, err)
		}
	}
	return fmt.Sprintf("%d entries of %d proven", len(indices), tree.N), nil
}

// checkConsistency proves every pair of the given sizes and the newest. The
// root at an old size is read through the tiles that a reader of that time
// would have asked for.
func checkConsistency(log *remoteLog, tree tlog.Tree, past []head) (string, error) {
	trees := []tlog.Tree{tree}
	for _, head := range past {
		old, err := treeAt(log, tree, head)
		if err != nil {
			return "", err
		}
		trees = append(trees, old)
	}
	sort.Slice(trees, func(i, j int) bool { return trees[i].N < trees[j].N })
	for i, old := range trees {
		for _, newer := range trees[i:] {
			if err := checkPair(log, old, newer); err != nil {
				return "", fmt.Errorf("%d to %d: %w", old.N, newer.N, err)
			}
		}
	}
	return fmt.Sprintf("%d sizes proven in pairs", len(trees)), nil
}

func treeAt(log *remoteLog, tree tlog.Tree, head head) (tlog.Tree, error) {
	if head.size < 1 || head.size > tree.N {
		return tlog.Tree{}, fmt.Errorf("size %d is not in a log of %d", head.size, tree.N)
	}
	root, err := tlog.TreeHash(head.size, tlog.TileHashReader(tree, log))
	if err == nil && head.root != nil && *head.root != root {
		err = fmt.Errorf("root at %d is %v, was %v", head.size, root, *head.root)
	}
	return tlog.Tree{N: head.size, Hash: root}, err
}

func checkPair(log *remoteLog, old, newer tlog.Tree) error {
	root, err := tlog.TreeHash(old.N, tlog.TileHashReader(old, log))
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(newer.N, old.N, tlog.TileHashReader(newer, log))
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, newer.N, newer.Hash, old.N, root)
}

// checkPartialTiles asks for every width of the first and the last tile of
// leaf hashes, and of their bundles: each is a prefix of the widest.
func checkPartialTiles(log *remoteLog, tree tlog.Tree, _ []head) (string, error) {
	asked := 0
	last := (tree.N - 1) / tileWidth
	for _, level := range []int{0, entriesLevel} {
		for _, n := range []int64{0, last} {
			widest := tlog.Tile{H: tileHeight, L: level, N: n, W: widthOf(n, tree.N)}
			if err := checkWidths(log, widest); err != nil {
				return "", err
			}
			asked += widest.W
		}
	}
	return fmt.Sprintf("%d widths are prefixes of the widest", asked), nil
}

func checkWidths(log *remoteLog, tile tlog.Tile) error {
	widest, err := log.get(tilePath(tile))
	if err != nil {
		return err
	}
	for tile.W--; tile.W > 0; tile.W-- {
		cut, err := log.get(tilePath(tile))
		if err != nil {
			return err
		}
		if len(cut) >= len(widest) || !bytes.HasPrefix(widest, cut) {
			return fmt.Errorf("%s is not a prefix of a wider one", tilePath(tile))
		}
		widest = cut
	}
	return nil
}

// checkAbsentTiles asks for what the checkpoint does not cover. A log may have
// grown since: then the question is asked again of the newer checkpoint.
func checkAbsentTiles(log *remoteLog, tree tlog.Tree, _ []head) (string, error) {
	for {
		wrong := findUncovered(log, tree.N)
		newest, err := log.checkpoint()
		if err != nil {
			return "", err
		}
		if wrong == nil || newest.N == tree.N {
			return "what is not covered is not found", wrong
		}
		tree = newest
	}
}

func findUncovered(log *remoteLog, size int64) error {
	for _, level := range []int{0, entriesLevel, 63} {
		beyond := tlog.Tile{H: tileHeight, L: level, N: size / tileWidth, W: int(size%tileWidth) + 1}
		status, _, err := log.request(tilePath(beyond))
		if err != nil {
			return err
		}
		if status != http.StatusNotFound {
			return fmt.Errorf("%s: status %d, want 404", tilePath(beyond), status)
		}
	}
	return nil
}

// widthOf is the width of tile n of level 0 in a tree of size.
func widthOf(n, size int64) int {
	if left := size - n*tileWidth; left < tileWidth {
		return int(left)
	}
	return tileWidth
}

func spread(size int64) (indices []int64) {
	if size <= maxProven {
		for index := int64(0); index < size; index++ {
			indices = append(indices, index)
		}
		return indices
	}
	for i := int64(0); i < maxProven; i++ {
		indices = append(indices, i*(size-1)/(maxProven-1))
	}
	return indices
}
