package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The tiles of C2SP logs have height 8: 256 hashes or leaves when full.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// Go numbers the tiles of leaves as level -1.
const entriesLevel = -1

// A full bundle of leaves of 65,535 bytes with their lengths is the longest answer.
const maxAnswerBytes = tileWidth * (2 + 1<<16)

// A wedged server fails the check instead of holding it for ever.
const answerTimeout = 30 * time.Second

// remoteLog reads a log over HTTP. It is the tlog.TileReader of these checks.
type remoteLog struct {
	base     string
	verifier note.Verifier
	client   http.Client
	fetched  map[string][]byte // tiles and bundles by path, as they were served
}

func newLog(base string, verifier note.Verifier) *remoteLog {
	return &remoteLog{
		base:     strings.TrimSuffix(base, "/"),
		verifier: verifier,
		client:   http.Client{Timeout: answerTimeout},
		fetched:  make(map[string][]byte),
	}
}

// checkpoint fetches the newest checkpoint and opens it with the log's key.
func (l *remoteLog) checkpoint() (tlog.Tree, error) {
	body, err := l.get("/checkpoint")
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(body, note.VerifierList(l.verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	return parseTree(opened.Text, l.verifier.Name())
}

// parseTree reads the three lines of a checkpoint. Go's own tlog.ParseTree
// reads only those of the checksum database.
func parseTree(text, origin string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("checkpoint has not three lines: %q", text)
	}
	if lines[0] != origin {
		return tlog.Tree{}, fmt.Errorf("checkpoint is of %q, want %q", lines[0], origin)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	if size < 1 {
		return tlog.Tree{}, fmt.Errorf("checkpoint of size %d leaves nothing to check", size)
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// entries fetches the leaves of a bundle of w entries.
func (l *remoteLog) entries(n int64, w int) ([][]byte, error) {
	path := tilePath(tlog.Tile{H: tileHeight, L: entriesLevel, N: n, W: w})
	body, err := l.once(path)
	if err != nil {
		return nil, err
	}
	leaves, err := splitBundle(body)
	if err == nil && len(leaves) != w {
		err = fmt.Errorf("%s has %d leaves, want %d", path, len(leaves), w)
	}
	return leaves, err
}

// splitBundle takes a bundle apart: lengths of two bytes, each before its leaf.
func splitBundle(body []byte) (leaves [][]byte, err error) {
	for len(body) > 0 {
		if len(body) < 2 {
			return nil, fmt.Errorf("bundle ends within a length")
		}
		length := int(binary.BigEndian.Uint16(body))
		body = body[2:]
		if len(body) < length {
			return nil, fmt.Errorf("bundle ends within a leaf")
		}
		leaves = append(leaves, body[:length])
		body = body[length:]
	}
	return leaves, nil
}

// Height is that of all C2SP tiles.
func (l *remoteLog) Height() int { return tileHeight }

// ReadTiles fetches tiles of hashes, each once.
func (l *remoteLog) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := l.tile(tile)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// SaveTiles has nothing to do: what was fetched is kept for this run anyway.
func (l *remoteLog) SaveTiles([]tlog.Tile, [][]byte) {}

func (l *remoteLog) tile(tile tlog.Tile) ([]byte, error) {
	path := tilePath(tile)
	data, err := l.once(path)
	if err == nil && len(data) != tile.W*tlog.HashSize {
		err = fmt.Errorf("%s has %d bytes, want %d", path, len(data), tile.W*tlog.HashSize)
	}
	return data, err
}

// tilePath turns Go's tile/8/L/NNN and tile/8/data/NNN into the paths of C2SP.
func tilePath(tile tlog.Tile) string {
	rest := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
	return "/tile/" + strings.Replace(rest, "data/", "entries/", 1)
}

// once gets what never changes.
func (l *remoteLog) once(path string) ([]byte, error) {
	if body, ok := l.fetched[path]; ok {
		return body, nil
	}
	body, err := l.get(path)
	if err == nil {
		l.fetched[path] = body
	}
	return body, err
}

func (l *remoteLog) get(path string) ([]byte, error) {
	status, body, err := l.request(path)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s: status %d", path, status)
	}
	return body, err
}

func (l *remoteLog) request(path string) (status int, body []byte, err error) {
	answer, err := l.client.Get(l.base + path)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes+1))
	if err == nil && len(body) > maxAnswerBytes {
		err = fmt.Errorf("%s: more than %d bytes", path, maxAnswerBytes)
	}
	return answer.StatusCode, body, err
}
