import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;

/**
 * Kafka Streams over the data set: a count of the words of commit messages, and a join of two tables by author: the newest
 * commit and the number of changed files. Runs until SIGTERM; ends with 1 when Streams gives up.
 *
 * <p>Arguments: bootstrap servers, state directory, then settings, NAME=VALUE each.
 */
public class WordsAndTables {
    static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        KafkaStreams streams = new KafkaStreams(topology(), settings(args));
        CountDownLatch ended = new CountDownLatch(1);
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.ERROR) ended.countDown();
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        ended.await();
        System.exit(1);
    }

    static Properties settings(String[] args) {
        Properties all = new Properties();
        all.put("application.id", "streams");
        all.put("bootstrap.servers", args[0]);
        all.put("state.dir", args[1]);
        all.put("processing.guarantee", "exactly_once_v2");
        all.put("num.stream.threads", "2");
        all.put("default.key.serde", Serdes.StringSerde.class);
        all.put("default.value.serde", Serdes.StringSerde.class);
        // Every update goes on: a word that came n times is told n times, from 1 to n.
        all.put("statestore.cache.max.bytes", "0");
        for (int n = 2; n < args.length; n++) {
            String[] pair = args[n].split("=", 2);
            all.put(pair[0], pair[1]);
        }
        return all;
    }

    static Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, JsonNode> commits = builder.<String, String>stream("commits").mapValues(WordsAndTables::parsed);
        KStream<String, JsonNode> files = builder.<String, String>stream("files").mapValues(WordsAndTables::parsed);

        commits.flatMap((author, commit) -> words(commit.get("message").asText()))
                .groupByKey(Grouped.as("words"))
                .count(Materialized.as("words"))
                .toStream()
                .mapValues((word, count) -> word + " " + count)
                .to("words");

        KTable<String, String> newest = commits.mapValues(commit -> commit.get("sha").asText()).toTable(Materialized.as("newest"));
        KTable<String, Long> changed = files.map((path, file) -> KeyValue.pair(file.get("actor").asText(), ""))
                .groupByKey(Grouped.as("changed"))
                .count(Materialized.as("changed"));
        newest.join(changed, (sha, count) -> sha + " " + count)
                .toStream()
                .mapValues((author, joined) -> author + " " + joined)
                .to("authors");
        return builder.build();
    }

    static List<KeyValue<String, String>> words(String message) {
        List<KeyValue<String, String>> all = new ArrayList<>();
        for (String word : message.split("[^A-Za-z]+")) if (!word.isEmpty()) all.add(KeyValue.pair(word, ""));
        return all;
    }

    static JsonNode parsed(String line) {
        try {
            return JSON.readTree(line);
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }
}
