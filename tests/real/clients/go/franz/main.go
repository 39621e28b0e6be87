// franz-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"esker/real/talk"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

func common(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{kgo.SeedBrokers(os.Args[1]), kgo.RecordPartitioner(kgo.ManualPartitioner())}, more...)
}

func client(more ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(common(more...)...)
	if err != nil {
		panic(err)
	}
	return cl
}

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), talk.Timeout)
}

func hello(talk.Task) (talk.Outcome, error) {
	return talk.Outcome{"version": talk.Version("github.com/twmb/franz-go")}, nil
}

// -- records

func toSend(topic string, records []talk.Record) []*kgo.Record {
	var out []*kgo.Record
	for _, r := range records {
		one := &kgo.Record{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: time.UnixMilli(r.Timestamp)}
		for _, h := range r.Headers {
			one.Headers = append(one.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
		}
		out = append(out, one)
	}
	return out
}

func found(r *kgo.Record) talk.Record {
	out := talk.Record{Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value}
	out.Headers = []talk.Pair{}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, talk.Pair{Name: h.Key, Value: h.Value})
	}
	return out
}

func produce(t talk.Task) (talk.Outcome, error) {
	opts := []kgo.Opt{kgo.ProducerBatchCompression(codecs[t.Codec]), kgo.ProducerLinger(20 * time.Millisecond)}
	if !t.Idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	cl := client(opts...)
	defer cl.Close()
	ctx, cancel := within()
	defer cancel()
	records := toSend(t.Topic, t.Records)
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return nil, err
	}
	var offsets []int64
	for _, r := range records {
		offsets = append(offsets, r.Offset)
	}
	return talk.Outcome{"offsets": offsets}, nil
}

func isolation(committed bool) kgo.Opt {
	if committed {
		return kgo.FetchIsolationLevel(kgo.ReadCommitted())
	}
	return kgo.FetchIsolationLevel(kgo.ReadUncommitted())
}

// until polls until the reading is done.
func until(cl *kgo.Client, reading *talk.Reading) error {
	ctx, cancel := within()
	defer cancel()
	for !reading.Done() {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("not at their end: %v: %w", reading.Left, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { reading.Add(r.Topic, found(r)) })
	}
	return nil
}

func read(t talk.Task) (talk.Outcome, error) {
	places := map[string]map[int32]kgo.Offset{}
	for topic, partitions := range t.Topics {
		places[topic] = map[int32]kgo.Offset{}
		for p := range partitions {
			places[topic][p] = kgo.NewOffset().AtStart()
		}
	}
	cl := client(kgo.ConsumePartitions(places), isolation(t.Committed))
	defer cl.Close()
	reading := talk.NewReading(t.Topics)
	return talk.Outcome{"records": reading.Records}, until(cl, reading)
}

func commit(t talk.Task) (talk.Outcome, error) {
	var offsets kadm.Offsets
	for p, at := range t.Offsets {
		offsets.Add(kadm.Offset{Topic: t.Topic, Partition: p, At: at, LeaderEpoch: -1, Metadata: t.Metadata})
	}
	return nil, administer(func(ctx context.Context, admin *kadm.Client) error {
		return admin.CommitAllOffsets(ctx, t.Group, offsets)
	})
}

func committed(t talk.Task) (talk.Outcome, error) {
	offsets := map[int32]int64{}
	return talk.Outcome{"offsets": offsets}, administer(func(ctx context.Context, admin *kadm.Client) error {
		all, err := admin.FetchOffsetsForTopics(ctx, t.Group, t.Topic)
		all.Each(func(o kadm.OffsetResponse) { offsets[o.Partition] = o.At })
		return errors.Join(err, all.Error())
	})
}

func since(t talk.Task) (talk.Outcome, error) {
	at := kgo.NewOffset().AfterMilli(t.Timestamp)
	cl := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t.Topic: {t.Partition: at}}))
	defer cl.Close()
	ctx, cancel := within()
	defer cancel()
	for {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		if records := fetches.Records(); len(records) > 0 {
			return talk.Outcome{"record": found(records[0])}, nil
		}
	}
}

func member(t talk.Task) (talk.Outcome, error) {
	assigned := map[int32]bool{}
	tell := func(change map[string][]int32, there bool) {
		for _, p := range change[t.Topic] {
			if there {
				assigned[p] = true
			} else {
				delete(assigned, p)
			}
		}
		all := []int32{}
		for p := range assigned {
			all = append(all, p)
		}
		talk.Tell(talk.Outcome{"assigned": all})
	}
	timing := []kgo.Opt{kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(500 * time.Millisecond)}
	if t.Protocol == "consumer" {
		timing = []kgo.Opt{kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer())}
	}
	cl := client(append(timing,
		kgo.ConsumerGroup(t.Group), kgo.ConsumeTopics(t.Topic), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, more map[string][]int32) { tell(more, true) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, less map[string][]int32) { tell(less, false) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, less map[string][]int32) { tell(less, false) }),
	)...)
	defer cl.CloseAllowingRebalance()
	for {
		select {
		case <-talk.Stop():
			return nil, nil
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		records := cl.PollFetches(ctx).Records()
		cancel()
		if len(records) > 0 {
			if err := cl.CommitRecords(context.Background(), records...); err != nil {
				return nil, err
			}
			places := [][2]int64{}
			for _, r := range records {
				places = append(places, [2]int64{int64(r.Partition), r.Offset})
			}
			talk.Tell(talk.Outcome{"records": places})
		}
		cl.AllowRebalance()
	}
}

// -- transactions

func transact(t talk.Task) (talk.Outcome, error) {
	cl := client(kgo.TransactionalID(t.ID))
	defer cl.Close()
	ctx, cancel := within()
	defer cancel()
	for _, round := range t.Rounds {
		if err := transaction(ctx, cl, toSend(t.Topic, round.Records), kgo.TransactionEndTry(round.Commit)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func transaction(ctx context.Context, cl *kgo.Client, records []*kgo.Record, end kgo.TransactionEndTry) error {
	if err := cl.BeginTransaction(); err != nil {
		return err
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return err
	}
	return cl.EndTransaction(ctx, end)
}

func copyAll(t talk.Task) (talk.Outcome, error) {
	session, err := kgo.NewGroupTransactSession(common(
		kgo.TransactionalID(t.ID), kgo.ConsumerGroup(t.Group), kgo.ConsumeTopics(t.Input), isolation(true),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RequireStableFetchOffsets(),
	)...)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	ctx, cancel := within()
	defer cancel()
	reading := talk.NewReading(map[string]map[int32]int64{t.Input: t.Until})
	for !reading.Done() {
		fetches := session.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("not at their end: %v: %w", reading.Left, err)
		}
		if err := session.Begin(); err != nil {
			return nil, err
		}
		var copies []*kgo.Record
		fetches.EachRecord(func(r *kgo.Record) {
			reading.Add(r.Topic, found(r))
			copies = append(copies, toSend(t.Output, []talk.Record{found(r)})...)
		})
		if err := session.ProduceSync(ctx, copies...).FirstErr(); err != nil {
			return nil, err
		}
		if done, err := session.End(ctx, kgo.TryCommit); err != nil || !done {
			return nil, fmt.Errorf("committed: %v: %w", done, err)
		}
	}
	return nil, nil
}

func fence(t talk.Task) (talk.Outcome, error) {
	ctx, cancel := within()
	defer cancel()
	older, newer := client(kgo.TransactionalID(t.ID)), client(kgo.TransactionalID(t.ID))
	defer older.Close()
	defer newer.Close()
	if err := older.BeginTransaction(); err != nil {
		return nil, err
	}
	if err := older.ProduceSync(ctx, &kgo.Record{Topic: t.Topic, Value: []byte("older")}).FirstErr(); err != nil {
		return nil, err
	}
	// It asks for its producer id with the first record.
	if err := transaction(ctx, newer, []*kgo.Record{{Topic: t.Topic, Value: []byte("newer")}}, kgo.TryCommit); err != nil {
		return nil, err
	}
	refused := older.EndTransaction(ctx, kgo.TryCommit)
	return talk.Outcome{"refused": fmt.Sprint(refused)}, nil
}

// -- admin

func administer(work func(context.Context, *kadm.Client) error) error {
	cl := client()
	defer cl.Close()
	ctx, cancel := within()
	defer cancel()
	return work(ctx, kadm.NewClient(cl))
}

func create(t talk.Task) (talk.Outcome, error) {
	return nil, administer(func(ctx context.Context, admin *kadm.Client) error {
		made, err := admin.CreateTopic(ctx, t.Count(), 1, t.Configs, t.Topic)
		return errors.Join(err, made.Err)
	})
}

func configs(t talk.Task) (talk.Outcome, error) {
	all := map[string]*string{}
	return talk.Outcome{"configs": all}, administer(func(ctx context.Context, admin *kadm.Client) error {
		found, err := admin.DescribeTopicConfigs(ctx, t.Topic)
		if err != nil {
			return err
		}
		for _, c := range found[0].Configs {
			all[c.Key] = c.Value
		}
		return found[0].Err
	})
}

func groups(talk.Task) (talk.Outcome, error) {
	var names []string
	err := administer(func(ctx context.Context, admin *kadm.Client) error {
		all, err := admin.ListGroups(ctx)
		names = all.Groups()
		return err
	})
	return talk.Outcome{"groups": names}, err
}

func group(t talk.Task) (talk.Outcome, error) {
	out := talk.Outcome{}
	return out, administer(func(ctx context.Context, admin *kadm.Client) error {
		if t.Protocol == "consumer" {
			all, err := admin.DescribeConsumerGroups(ctx, t.Group)
			out["state"], out["members"] = all[t.Group].State, len(all[t.Group].Members)
			return errors.Join(err, all[t.Group].Err)
		}
		all, err := admin.DescribeGroups(ctx, t.Group)
		out["state"], out["members"] = all[t.Group].State, len(all[t.Group].Members)
		return errors.Join(err, all[t.Group].Err)
	})
}

func deleteRecords(t talk.Task) (talk.Outcome, error) {
	out := talk.Outcome{}
	return out, administer(func(ctx context.Context, admin *kadm.Client) error {
		var offsets kadm.Offsets
		offsets.Add(kadm.Offset{Topic: t.Topic, Partition: t.Partition, At: t.Offset})
		all, err := admin.DeleteRecords(ctx, offsets)
		done, _ := all.Lookup(t.Topic, t.Partition)
		out["low"] = done.LowWatermark
		return errors.Join(err, done.Err)
	})
}

func deleteTopic(t talk.Task) (talk.Outcome, error) {
	return nil, administer(func(ctx context.Context, admin *kadm.Client) error {
		done, err := admin.DeleteTopic(ctx, t.Topic)
		return errors.Join(err, done.Err)
	})
}

func main() {
	talk.Serve(map[string]func(talk.Task) (talk.Outcome, error){
		"hello": hello, "produce": produce, "read": read, "commit": commit, "committed": committed, "since": since,
		"member": member, "transact": transact, "copy": copyAll, "fence": fence, "create": create, "configs": configs,
		"groups": groups, "group": group, "delete_records": deleteRecords, "delete": deleteTopic,
	})
}
