// sarama.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"esker/real/talk"

	"github.com/IBM/sarama"
)

var codecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

var servers = []string{os.Args[1]}

func config(committed bool) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.Flush.Frequency = 20 * time.Millisecond
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	if committed {
		c.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	return c
}

func idempotent(c *sarama.Config) *sarama.Config {
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1
	return c
}

func hello(talk.Task) (talk.Outcome, error) {
	return talk.Outcome{"version": talk.Version("github.com/IBM/sarama")}, nil
}

// -- records

func bytesOrNull(data []byte) sarama.Encoder {
	if data == nil {
		return nil
	}
	return sarama.ByteEncoder(data)
}

func toSend(topic string, records []talk.Record) []*sarama.ProducerMessage {
	var out []*sarama.ProducerMessage
	for _, r := range records {
		one := &sarama.ProducerMessage{
			Topic: topic, Partition: r.Partition, Timestamp: time.UnixMilli(r.Timestamp),
			Key: bytesOrNull(r.Key), Value: bytesOrNull(r.Value),
		}
		for _, h := range r.Headers {
			one.Headers = append(one.Headers, sarama.RecordHeader{Key: []byte(h.Name), Value: h.Value})
		}
		out = append(out, one)
	}
	return out
}

func found(m *sarama.ConsumerMessage) talk.Record {
	out := talk.Record{Partition: m.Partition, Offset: m.Offset, Timestamp: m.Timestamp.UnixMilli(), Key: m.Key, Value: m.Value}
	out.Headers = []talk.Pair{}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, talk.Pair{Name: string(h.Key), Value: h.Value})
	}
	return out
}

func produce(t talk.Task) (talk.Outcome, error) {
	c := config(false)
	c.Producer.Compression = codecs[t.Codec]
	if t.Idempotent {
		idempotent(c)
	}
	producer, err := sarama.NewSyncProducer(servers, c)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	messages := toSend(t.Topic, t.Records)
	if err := producer.SendMessages(messages); err != nil {
		return nil, err
	}
	var offsets []int64
	for _, m := range messages {
		offsets = append(offsets, m.Offset)
	}
	return talk.Outcome{"offsets": offsets}, nil
}

func read(t talk.Task) (talk.Outcome, error) {
	consumer, err := sarama.NewConsumer(servers, config(t.Committed))
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	reading := talk.NewReading(t.Topics)
	deadline := time.After(talk.Timeout)
	for topic, partitions := range t.Topics {
		for p, last := range partitions {
			claim, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
			if err != nil {
				return nil, err
			}
			for at := int64(-1); at < last; {
				select {
				case m := <-claim.Messages():
					at = m.Offset
					reading.Add(topic, found(m))
				case <-deadline:
					return nil, fmt.Errorf("not at their end: %v", reading.Left)
				}
			}
			claim.Close()
		}
	}
	return talk.Outcome{"records": reading.Records}, nil
}

func commit(t talk.Task) (talk.Outcome, error) {
	client, err := sarama.NewClient(servers, config(false))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	manager, err := sarama.NewOffsetManagerFromClient(t.Group, client)
	if err != nil {
		return nil, err
	}
	defer manager.Close()
	for p, at := range t.Offsets {
		managed, err := manager.ManagePartition(t.Topic, p)
		if err != nil {
			return nil, err
		}
		defer managed.AsyncClose()
		managed.MarkOffset(at, t.Metadata)
	}
	manager.Commit()
	return nil, nil
}

func committed(t talk.Task) (talk.Outcome, error) {
	offsets := map[int32]int64{}
	return talk.Outcome{"offsets": offsets}, administer(func(admin sarama.ClusterAdmin) error {
		all, err := admin.ListConsumerGroupOffsets(t.Group, nil)
		if err != nil {
			return err
		}
		for p := int32(0); ; p++ {
			block := all.GetBlock(t.Topic, p)
			if block == nil {
				return nil
			}
			offsets[p] = block.Offset
		}
	})
}

func since(t talk.Task) (talk.Outcome, error) {
	client, err := sarama.NewClient(servers, config(false))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	at, err := client.GetOffset(t.Topic, t.Partition, t.Timestamp)
	if err != nil {
		return nil, err
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, err
	}
	claim, err := consumer.ConsumePartition(t.Topic, t.Partition, at)
	if err != nil {
		return nil, err
	}
	defer claim.Close()
	select {
	case m := <-claim.Messages():
		return talk.Outcome{"record": found(m)}, nil
	case <-time.After(talk.Timeout):
		return nil, errors.New("no record")
	}
}

// handler gives what lies ready of a claim to `work`.
type handler struct {
	setup func(claims map[string][]int32)
	work  func(sarama.ConsumerGroupSession, []*sarama.ConsumerMessage) error
}

func (h handler) Setup(s sarama.ConsumerGroupSession) error {
	if h.setup != nil {
		h.setup(s.Claims())
	}
	return nil
}

func (h handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h handler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for first := range claim.Messages() {
		some := []*sarama.ConsumerMessage{first}
		for len(claim.Messages()) > 0 {
			if m := <-claim.Messages(); m != nil {
				some = append(some, m)
			}
		}
		if err := h.work(s, some); err != nil {
			return err
		}
	}
	return nil
}

func consume(ctx context.Context, c *sarama.Config, group, topic string, h handler) error {
	consumer, err := sarama.NewConsumerGroup(servers, group, c)
	if err != nil {
		return err
	}
	defer consumer.Close()
	for ctx.Err() == nil {
		if err := consumer.Consume(ctx, []string{topic}, h); err != nil {
			return err
		}
	}
	return nil
}

func member(t talk.Task) (talk.Outcome, error) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-talk.Stop()
		cancel()
	}()
	c := config(false)
	c.Consumer.Group.Session.Timeout = 6 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	var lock sync.Mutex
	return nil, consume(ctx, c, t.Group, t.Topic, handler{
		setup: func(claims map[string][]int32) {
			lock.Lock()
			defer lock.Unlock()
			talk.Tell(talk.Outcome{"assigned": append([]int32{}, claims[t.Topic]...)})
		},
		work: func(s sarama.ConsumerGroupSession, messages []*sarama.ConsumerMessage) error {
			lock.Lock()
			defer lock.Unlock()
			places := [][2]int64{}
			for _, m := range messages {
				s.MarkMessage(m, "")
				places = append(places, [2]int64{int64(m.Partition), m.Offset})
			}
			s.Commit()
			talk.Tell(talk.Outcome{"records": places})
			return nil
		},
	})
}

// -- transactions

func transactional(id string) (sarama.SyncProducer, error) {
	c := idempotent(config(false))
	c.Producer.Transaction.ID = id
	return sarama.NewSyncProducer(servers, c)
}

func transaction(producer sarama.SyncProducer, messages []*sarama.ProducerMessage, commit bool) error {
	if err := producer.BeginTxn(); err != nil {
		return err
	}
	if err := producer.SendMessages(messages); err != nil {
		return err
	}
	if commit {
		return producer.CommitTxn()
	}
	return producer.AbortTxn()
}

func transact(t talk.Task) (talk.Outcome, error) {
	producer, err := transactional(t.ID)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	for _, round := range t.Rounds {
		if err := transaction(producer, toSend(t.Topic, round.Records), round.Commit); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func copyAll(t talk.Task) (talk.Outcome, error) {
	producer, err := transactional(t.ID)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	reading := talk.NewReading(map[string]map[int32]int64{t.Input: t.Until})
	ctx, cancel := context.WithTimeout(context.Background(), talk.Timeout)
	defer cancel()
	// One producer, and a claim for each partition.
	var lock sync.Mutex
	err = consume(ctx, config(true), t.Group, t.Input, handler{
		work: func(_ sarama.ConsumerGroupSession, messages []*sarama.ConsumerMessage) error {
			lock.Lock()
			defer lock.Unlock()
			if err := producer.BeginTxn(); err != nil {
				return err
			}
			var copies []*sarama.ProducerMessage
			for _, m := range messages {
				copies = append(copies, toSend(t.Output, []talk.Record{found(m)})...)
			}
			if err := producer.SendMessages(copies); err != nil {
				return err
			}
			last := messages[len(messages)-1]
			if err := producer.AddMessageToTxn(last, t.Group, nil); err != nil {
				return err
			}
			if err := producer.CommitTxn(); err != nil {
				return err
			}
			for _, m := range messages {
				reading.Add(m.Topic, found(m))
			}
			if reading.Done() {
				cancel()
			}
			return nil
		},
	})
	if err == nil && !reading.Done() {
		err = fmt.Errorf("not at their end: %v", reading.Left)
	}
	return nil, err
}

func fence(t talk.Task) (talk.Outcome, error) {
	older, err := transactional(t.ID)
	if err != nil {
		return nil, err
	}
	if err := older.BeginTxn(); err != nil {
		return nil, err
	}
	message := func(word string) []*sarama.ProducerMessage {
		return []*sarama.ProducerMessage{{Topic: t.Topic, Value: sarama.StringEncoder(word)}}
	}
	if err := older.SendMessages(message("older")); err != nil {
		return nil, err
	}
	newer, err := transactional(t.ID)
	if err != nil {
		return nil, err
	}
	defer newer.Close()
	refused := older.CommitTxn()
	older.Close()
	return talk.Outcome{"refused": fmt.Sprint(refused)}, transaction(newer, message("newer"), true)
}

// -- admin

func administer(work func(sarama.ClusterAdmin) error) error {
	admin, err := sarama.NewClusterAdmin(servers, config(false))
	if err != nil {
		return err
	}
	defer admin.Close()
	return work(admin)
}

func create(t talk.Task) (talk.Outcome, error) {
	return nil, administer(func(admin sarama.ClusterAdmin) error {
		detail := &sarama.TopicDetail{NumPartitions: t.Count(), ReplicationFactor: 1, ConfigEntries: t.Configs}
		return admin.CreateTopic(t.Topic, detail, false)
	})
}

func configs(t talk.Task) (talk.Outcome, error) {
	all := map[string]string{}
	return talk.Outcome{"configs": all}, administer(func(admin sarama.ClusterAdmin) error {
		found, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: t.Topic})
		for _, c := range found {
			all[c.Name] = c.Value
		}
		return err
	})
}

func groups(talk.Task) (talk.Outcome, error) {
	names := []string{}
	err := administer(func(admin sarama.ClusterAdmin) error {
		all, err := admin.ListConsumerGroups()
		for name := range all {
			names = append(names, name)
		}
		return err
	})
	return talk.Outcome{"groups": names}, err
}

func group(t talk.Task) (talk.Outcome, error) {
	out := talk.Outcome{}
	return out, administer(func(admin sarama.ClusterAdmin) error {
		all, err := admin.DescribeConsumerGroups([]string{t.Group})
		if err != nil {
			return err
		}
		if all[0].ErrorCode != 0 {
			return all[0].Err
		}
		out["state"], out["members"] = all[0].State, len(all[0].Members)
		return nil
	})
}

// Its answer does not tell the new start.
func deleteRecords(t talk.Task) (talk.Outcome, error) {
	out := talk.Outcome{}
	return out, administer(func(admin sarama.ClusterAdmin) error {
		if err := admin.DeleteRecords(t.Topic, map[int32]int64{t.Partition: t.Offset}); err != nil {
			return err
		}
		asked := map[string]map[int32]int64{t.Topic: {t.Partition: sarama.OffsetOldest}}
		all, err := admin.ListOffsets(asked, nil)
		if err != nil {
			return err
		}
		out["low"] = all[t.Topic][t.Partition].Offset
		return nil
	})
}

func deleteTopic(t talk.Task) (talk.Outcome, error) {
	return nil, administer(func(admin sarama.ClusterAdmin) error { return admin.DeleteTopic(t.Topic) })
}

func main() {
	talk.Serve(map[string]func(talk.Task) (talk.Outcome, error){
		"hello": hello, "produce": produce, "read": read, "commit": commit, "committed": committed, "since": since,
		"member": member, "transact": transact, "copy": copyAll, "fence": fence, "create": create, "configs": configs,
		"groups": groups, "group": group, "delete_records": deleteRecords, "delete": deleteTopic,
	})
}
