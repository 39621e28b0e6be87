import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** Kafka's own client; the protocol stands in clients/__init__.py. */
public class Client {
    static final long TIMEOUT_S = 30;
    static final Duration POLL = Duration.ofMillis(200);
    static final ObjectMapper JSON = new ObjectMapper();
    static final BufferedReader IN = new BufferedReader(new InputStreamReader(System.in));
    static String bootstrap;
    static Admin admin;

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        for (String line; (line = IN.readLine()) != null; ) {
            ObjectNode answer = JSON.createObjectNode();
            try {
                answer.set("done", run(JSON.readTree(line)));
            } catch (Throwable failure) {
                StringWriter words = new StringWriter();
                failure.printStackTrace(new PrintWriter(words));
                answer.removeAll();
                answer.put("failed", words.toString());
            }
            tell(answer);
        }
    }

    static ObjectNode run(JsonNode t) throws Exception {
        ObjectNode done = JSON.createObjectNode();
        switch (t.get("do").asText()) {
            case "hello" -> done.put("version", AppInfoParser.getVersion());
            case "produce" -> produce(t, done);
            case "read" -> read(t, done);
            case "commit" -> commit(t);
            case "committed" -> committed(t, done);
            case "since" -> since(t, done);
            case "member" -> member(t);
            case "transact" -> transact(t);
            case "copy" -> copy(t);
            case "fence" -> fence(t, done);
            default -> administer(t, done);
        }
        return done;
    }

    static void tell(ObjectNode line) {
        System.out.println(line);
    }

    // -- records

    static Properties properties(Map<String, ?> more) {
        Properties all = new Properties();
        all.put("bootstrap.servers", bootstrap);
        all.put("enable.metrics.push", "false");
        all.putAll(more);
        return all;
    }

    static KafkaProducer<byte[], byte[]> producer(Map<String, ?> more) {
        return new KafkaProducer<>(properties(more), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(String group, boolean committed, Map<String, ?> more) {
        Properties all = properties(more);
        all.put("enable.auto.commit", "false");
        all.put("auto.offset.reset", "earliest");
        all.put("isolation.level", committed ? "read_committed" : "read_uncommitted");
        if (group != null) all.put("group.id", group);
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static byte[] decoded(JsonNode text) {
        return text.isNull() ? null : Base64.getDecoder().decode(text.asText());
    }

    static String encoded(byte[] data) {
        return data == null ? null : Base64.getEncoder().encodeToString(data);
    }

    static ProducerRecord<byte[], byte[]> toSend(String topic, JsonNode r) {
        List<Header> headers = new ArrayList<>();
        for (JsonNode pair : r.get("headers")) headers.add(new RecordHeader(pair.get(0).asText(), decoded(pair.get(1))));
        Long timestamp = r.get("timestamp").isNull() ? null : r.get("timestamp").asLong();
        return new ProducerRecord<>(
                topic, r.get("partition").asInt(), timestamp, decoded(r.get("key")), decoded(r.get("value")), headers);
    }

    static ObjectNode found(ConsumerRecord<byte[], byte[]> r) {
        ObjectNode out = JSON.createObjectNode();
        out.put("partition", r.partition()).put("offset", r.offset()).put("timestamp", r.timestamp());
        out.put("key", encoded(r.key())).put("value", encoded(r.value()));
        ArrayNode headers = out.putArray("headers");
        for (Header h : r.headers()) headers.addArray().add(h.key()).add(encoded(h.value()));
        return out;
    }

    static List<Long> send(KafkaProducer<byte[], byte[]> producer, String topic, JsonNode records) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (JsonNode r : records) sent.add(producer.send(toSend(topic, r)));
        producer.flush();
        List<Long> offsets = new ArrayList<>();
        for (Future<RecordMetadata> one : sent) offsets.add(one.get(TIMEOUT_S, TimeUnit.SECONDS).offset());
        return offsets;
    }

    static void produce(JsonNode t, ObjectNode done) throws Exception {
        Map<String, String> how = Map.of(
                "compression.type", t.get("codec").asText(),
                "enable.idempotence", t.get("idempotent").asText(),
                "linger.ms", "20");
        try (var producer = producer(how)) {
            ArrayNode offsets = done.putArray("offsets");
            send(producer, t.get("topic").asText(), t.get("records")).forEach(offsets::add);
        }
    }

    static Map<TopicPartition, Long> places(String topic, JsonNode partitions) {
        Map<TopicPartition, Long> out = new HashMap<>();
        for (Map.Entry<String, JsonNode> p : partitions.properties()) {
            out.put(new TopicPartition(topic, Integer.parseInt(p.getKey())), p.getValue().asLong());
        }
        return out;
    }

    interface Work {
        void on(List<ConsumerRecord<byte[], byte[]>> records) throws Exception;
    }

    /** Polls until every partition came to its last offset. */
    static void until(KafkaConsumer<byte[], byte[]> consumer, Map<TopicPartition, Long> left, Work work) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(TIMEOUT_S);
        while (!left.isEmpty()) {
            if (System.nanoTime() > deadline) throw new IllegalStateException("not at their end: " + left);
            List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
            consumer.poll(POLL).forEach(records::add);
            if (!records.isEmpty()) work.on(records);
            for (var r : records) {
                TopicPartition at = new TopicPartition(r.topic(), r.partition());
                if (r.offset() >= left.getOrDefault(at, Long.MAX_VALUE)) left.remove(at);
            }
        }
    }

    static void read(JsonNode t, ObjectNode done) throws Exception {
        ObjectNode all = done.putObject("records");
        Map<TopicPartition, Long> left = new HashMap<>();
        for (Map.Entry<String, JsonNode> topic : t.get("topics").properties()) {
            all.putArray(topic.getKey());
            left.putAll(places(topic.getKey(), topic.getValue()));
        }
        try (var consumer = consumer(null, t.get("committed").asBoolean(), Map.of())) {
            consumer.assign(left.keySet());
            consumer.seekToBeginning(List.copyOf(left.keySet()));
            until(consumer, left, records -> records.forEach(r -> ((ArrayNode) all.get(r.topic())).add(found(r))));
        }
    }

    static void commit(JsonNode t) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        places(t.get("topic").asText(), t.get("offsets"))
                .forEach((p, at) -> offsets.put(p, new OffsetAndMetadata(at, t.get("metadata").asText())));
        try (var consumer = consumer(t.get("group").asText(), false, Map.of())) {
            consumer.commitSync(offsets);
        }
    }

    static void committed(JsonNode t, ObjectNode done) throws Exception {
        ObjectNode out = done.putObject("offsets");
        var all = admin().listConsumerGroupOffsets(t.get("group").asText()).partitionsToOffsetAndMetadata();
        all.get(TIMEOUT_S, TimeUnit.SECONDS).forEach((p, at) -> {
            if (p.topic().equals(t.get("topic").asText())) out.put("" + p.partition(), at.offset());
        });
    }

    static void since(JsonNode t, ObjectNode done) {
        TopicPartition place = new TopicPartition(t.get("topic").asText(), t.get("partition").asInt());
        try (var consumer = consumer(null, false, Map.of())) {
            consumer.assign(List.of(place));
            consumer.seek(place, consumer.offsetsForTimes(Map.of(place, t.get("timestamp").asLong())).get(place).offset());
            for (int n = 0; n < TIMEOUT_S * 5; n++) {
                for (var r : consumer.poll(POLL)) {
                    done.set("record", found(r));
                    return;
                }
            }
        }
    }

    static void member(JsonNode t) throws Exception {
        String topic = t.get("topic").asText();
        var classic = Map.of("session.timeout.ms", "6000", "heartbeat.interval.ms", "500");
        var how = t.get("protocol").asText().equals("classic") ? classic : Map.of("group.protocol", "consumer");
        try (var consumer = consumer(t.get("group").asText(), false, how)) {
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                public void onPartitionsRevoked(Collection<TopicPartition> revoked) {}

                public void onPartitionsAssigned(Collection<TopicPartition> more) {
                    ObjectNode line = JSON.createObjectNode();
                    ArrayNode all = line.putArray("assigned");
                    consumer.assignment().forEach(p -> all.add(p.partition()));
                    tell(line);
                }
            });
            while (!IN.ready()) {
                ObjectNode line = JSON.createObjectNode();
                ArrayNode all = line.putArray("records");
                for (var r : consumer.poll(POLL)) all.addArray().add(r.partition()).add(r.offset());
                if (all.isEmpty()) continue;
                consumer.commitSync();
                tell(line);
            }
            IN.readLine();
        }
    }

    // -- transactions

    static KafkaProducer<byte[], byte[]> transactional(JsonNode t) {
        var producer = producer(Map.of("transactional.id", t.get("id").asText()));
        producer.initTransactions();
        return producer;
    }

    static void transact(JsonNode t) throws Exception {
        try (var producer = transactional(t)) {
            for (JsonNode round : t.get("rounds")) {
                producer.beginTransaction();
                send(producer, t.get("topic").asText(), round.get("records"));
                if (round.get("commit").asBoolean()) producer.commitTransaction();
                else producer.abortTransaction();
            }
        }
    }

    static void copy(JsonNode t) throws Exception {
        String input = t.get("input").asText();
        try (var producer = transactional(t); var consumer = consumer(t.get("group").asText(), true, Map.of())) {
            consumer.subscribe(List.of(input));
            until(consumer, places(input, t.get("until")), records -> {
                producer.beginTransaction();
                for (var r : records) {
                    producer.send(new ProducerRecord<>(
                            t.get("output").asText(), r.partition(), r.timestamp(), r.key(), r.value(), r.headers()));
                }
                Map<TopicPartition, OffsetAndMetadata> at = new HashMap<>();
                for (TopicPartition p : consumer.assignment()) at.put(p, new OffsetAndMetadata(consumer.position(p)));
                producer.sendOffsetsToTransaction(at, consumer.groupMetadata());
                producer.commitTransaction();
            });
        }
    }

    static void fence(JsonNode t, ObjectNode done) throws Exception {
        String topic = t.get("topic").asText();
        try (var older = transactional(t)) {
            older.beginTransaction();
            older.send(new ProducerRecord<>(topic, "older".getBytes())).get();
            try (var newer = transactional(t)) {
                try {
                    older.commitTransaction();
                } catch (KafkaException refused) {
                    done.put("refused", refused.getClass().getSimpleName());
                }
                newer.beginTransaction();
                newer.send(new ProducerRecord<>(topic, "newer".getBytes())).get();
                newer.commitTransaction();
            }
        }
    }

    // -- admin

    static Admin admin() {
        if (admin == null) admin = Admin.create(properties(Map.of()));
        return admin;
    }

    static void administer(JsonNode t, ObjectNode done) throws Exception {
        switch (t.get("do").asText()) {
            case "create" -> {
                Map<String, String> configs = new HashMap<>();
                t.get("configs").properties().forEach(e -> configs.put(e.getKey(), e.getValue().asText()));
                NewTopic topic = new NewTopic(t.get("topic").asText(), t.get("partitions").asInt(), (short) 1);
                admin().createTopics(Set.of(topic.configs(configs))).all().get(TIMEOUT_S, TimeUnit.SECONDS);
            }
            case "configs" -> {
                ObjectNode out = done.putObject("configs");
                ConfigResource asked = new ConfigResource(ConfigResource.Type.TOPIC, t.get("topic").asText());
                var all = admin().describeConfigs(Set.of(asked)).all().get(TIMEOUT_S, TimeUnit.SECONDS);
                for (ConfigEntry e : all.get(asked).entries()) out.put(e.name(), e.value());
            }
            case "groups" -> {
                ArrayNode out = done.putArray("groups");
                for (GroupListing g : admin().listGroups().all().get(TIMEOUT_S, TimeUnit.SECONDS)) out.add(g.groupId());
            }
            case "group" -> {
                String group = t.get("group").asText();
                var all = admin().describeConsumerGroups(Set.of(group)).all().get(TIMEOUT_S, TimeUnit.SECONDS);
                done.put("state", all.get(group).groupState().toString());
                done.put("members", all.get(group).members().size());
            }
            case "delete_records" -> {
                TopicPartition place = new TopicPartition(t.get("topic").asText(), t.get("partition").asInt());
                var wanted = Map.of(place, RecordsToDelete.beforeOffset(t.get("offset").asLong()));
                var low = admin().deleteRecords(wanted).lowWatermarks().get(place).get(TIMEOUT_S, TimeUnit.SECONDS);
                done.put("low", low.lowWatermark());
            }
            case "delete" -> admin().deleteTopics(Set.of(t.get("topic").asText())).all().get(TIMEOUT_S, TimeUnit.SECONDS);
            default -> throw new IllegalArgumentException(t.toString());
        }
    }
}
