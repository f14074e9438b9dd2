// Checks what Watchbill signs and proves with other people's code: golang.org/x/mod/sumdb/note and tlog.
//
// Usage: check VERIFIER-KEY FILE...; a FILE is a c2sp.org/tlog-proof@v1 followed by a line "leaf <base64>" in FILE.leaf, a
// checkpoint alone (*.checkpoint), a consistency proof (*.consistency: "old N", hashes, blank, note) with FILE.old, the older
// note, or the folder of a home's tree hashes (*.tiles holds its path) with FILE.note, a checkpoint: Go proves from our tiles.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "NOT VALID: %s: %v\n", what, err)
		os.Exit(1)
	}
}

func hash(line string) (h tlog.Hash) {
	raw, err := base64.StdEncoding.DecodeString(line)
	if err == nil && len(raw) != tlog.HashSize {
		err = fmt.Errorf("%d bytes", len(raw))
	}
	must(err, "hash")
	copy(h[:], raw)
	return
}

// opened checks the signature of a checkpoint and gives the tree that it speaks of.
func opened(text []byte, key note.Verifier) (size int64, root tlog.Hash) {
	n, err := note.Open(text, note.VerifierList(key))
	must(err, "note")
	lines := strings.Split(n.Text, "\n")
	_, err = fmt.Sscanf(lines[1], "%d", &size)
	must(err, "size")
	return size, hash(lines[2])
}

// folder reads C2SP hash tiles as slices of the flat files tree/leaves and tree/level-N.
type folder string

func (f folder) Height() int                         { return 8 }
func (f folder) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (f folder) ReadTiles(tiles []tlog.Tile) (out [][]byte, err error) {
	for _, tile := range tiles {
		name := "leaves"
		if tile.L > 0 {
			name = fmt.Sprintf("level-%d", tile.L)
		}
		file, err := os.Open(string(f) + "/" + name)
		if err != nil {
			return nil, err
		}
		data := make([]byte, tile.W*tlog.HashSize)
		_, err = file.ReadAt(data, tile.N*256*tlog.HashSize)
		file.Close()
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

// tiled proves records from our tiles with Go's own code, which checks every tile against the signed root.
func tiled(f folder, size int64, root tlog.Hash) {
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, f)
	for index := int64(0); index < size; index += 1 + size/50 {
		leaf, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		must(err, "leaf from tiles")
		proof, err := tlog.ProveRecord(size, index, reader)
		must(err, "proof from tiles")
		must(tlog.CheckRecord(proof, size, root, index, leaf[0]), "proof from tiles")
	}
}

func main() {
	key, err := note.NewVerifier(os.Args[1])
	must(err, "verifier key")
	for _, file := range os.Args[2:] {
		text, err := os.ReadFile(file)
		must(err, file)
		if strings.HasSuffix(file, ".checkpoint") {
			opened(text, key)
			continue
		}
		if strings.HasSuffix(file, ".tiles") {
			note, err := os.ReadFile(file + ".note")
			must(err, file)
			size, root := opened(note, key)
			tiled(folder(strings.TrimSpace(string(text))), size, root)
			continue
		}
		head, rest, _ := strings.Cut(string(text), "\n\n")
		size, root := opened([]byte(rest), key)
		lines := strings.Split(head, "\n")
		if strings.HasSuffix(file, ".consistency") {
			older, err := os.ReadFile(file + ".old")
			must(err, file)
			size1, root1 := opened(older, key)
			var proof tlog.TreeProof
			for _, line := range lines[1:] {
				proof = append(proof, hash(line))
			}
			must(tlog.CheckTree(proof, size, root, size1, root1), file)
			continue
		}
		lines = lines[1:]
		if strings.HasPrefix(lines[0], "extra ") {
			lines = lines[1:]
		}
		var index int64
		_, err = fmt.Sscanf(lines[0], "index %d", &index)
		must(err, file)
		var proof tlog.RecordProof
		for _, line := range lines[1:] {
			proof = append(proof, hash(line))
		}
		leaf, err := os.ReadFile(file + ".leaf")
		must(err, file)
		must(tlog.CheckRecord(proof, size, root, index, hash(strings.TrimSpace(string(leaf)))), file)
	}
	fmt.Printf("valid: %d\n", len(os.Args)-2)
}
