import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.message.FetchResponseData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.requests.RequestHeader;
import org.apache.kafka.common.requests.RequestUtils;
import org.apache.kafka.common.requests.ResponseHeader;

/**
 * Speaks any API of Kafka in any version, with the classes that Kafka generates from its schema: a request is JSON with the
 * fields' names of the schema, and so is the answer. It knows nothing of what the calls mean.
 *
 * <p>A line of stdin is a list of orders, a line of stdout the list of what came of them:
 * {"do":"send", "to":"host:port", "on":connection, "api":key, "version":n, "client":id, "body":{...}} sends, and takes the
 * default for every field that is left out; {"do":"take", "to", "on", "timeout":ms} waits for the oldest answer that is due:
 * {"answer":{...}}, {"closed":why}, or {"silent":true}, behind which the connection is not used again; {"do":"close", "to", "on"}
 * leaves one.
 */
public class Relay {
    static final ObjectMapper JSON = new ObjectMapper();
    static final String MESSAGES = "org.apache.kafka.common.message.";
    static final Map<String, Link> LINKS = new HashMap<>();

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            ArrayNode done = JSON.createArrayNode();
            for (JsonNode order : JSON.readTree(line)) {
                done.add(follow(order));
            }
            System.out.println(JSON.writeValueAsString(done));
            System.out.flush();
        }
    }

    static ObjectNode follow(JsonNode order) {
        ObjectNode done = JSON.createObjectNode();
        String name = order.get("to").asText() + " " + order.get("on").asText();
        try {
            if (order.get("do").asText().equals("send")) {
                Link link = LINKS.get(name);
                if (link == null) {
                    LINKS.put(name, link = new Link(order.get("to").asText()));
                }
                link.send(order);
                return done.put("sent", true);
            }
            if (order.get("do").asText().equals("close")) {
                close(name);
                return done.put("closed", "as asked");
            }
            Link link = LINKS.get(name);
            if (link == null) {
                return done.put("closed", "there is no connection");
            }
            done.set("answer", link.take(order.get("timeout").asInt()));
        } catch (SocketTimeoutException silence) {
            close(name);
            done.put("silent", true);
        } catch (IOException ended) {
            close(name);
            done.put("closed", ended.toString());
        } catch (Exception failure) {
            Throwable cause = failure instanceof InvocationTargetException ? failure.getCause() : failure;
            done.put("failed", cause.toString());
        }
        return done;
    }

    static void close(String name) {
        try {
            Link link = LINKS.remove(name);
            if (link != null) {
                link.socket.close();
            }
        } catch (IOException ignored) {
            // It is gone either way.
        }
    }

    /** One connection, and what it is owed. */
    static class Link {
        final Socket socket = new Socket();
        final DataInputStream in;
        final java.util.ArrayDeque<RequestHeader> due = new java.util.ArrayDeque<>();
        int correlation;

        Link(String to) throws IOException {
            int colon = to.lastIndexOf(':');
            socket.setTcpNoDelay(true);
            socket.connect(new InetSocketAddress(to.substring(0, colon), Integer.parseInt(to.substring(colon + 1))), 10_000);
            in = new DataInputStream(new java.io.BufferedInputStream(socket.getInputStream()));
        }

        void send(JsonNode order) throws Exception {
            ApiKeys api = ApiKeys.forId(order.get("api").asInt());
            short version = (short) order.get("version").asInt();
            String type = MESSAGES + api.messageType.newRequest().getClass().getSimpleName();
            JsonNode body = whole(type, "", order.get("body"), version);
            Message message = (Message) converter(type, "").getMethod("read", JsonNode.class, short.class).invoke(null, body, version);
            RequestHeader header = new RequestHeader(api, version, order.get("client").asText(), ++correlation);
            ByteBuffer bytes = RequestUtils.serialize(header.data(), header.headerVersion(), message, version);
            ByteBuffer framed = ByteBuffer.allocate(4 + bytes.remaining());
            framed.putInt(bytes.remaining()).put(bytes);
            socket.getOutputStream().write(framed.array());
            if (!order.path("unanswered").asBoolean()) {
                due.add(header);
            }
        }

        JsonNode take(int timeout) throws Exception {
            socket.setSoTimeout(timeout);
            byte[] bytes = new byte[in.readInt()];
            in.readFully(bytes);
            RequestHeader asked = due.remove();
            ApiKeys api = asked.apiKey();
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            ResponseHeader header = ResponseHeader.parse(buffer, api.responseHeaderVersion(asked.apiVersion()));
            if (header.correlationId() != asked.correlationId()) {
                throw new IllegalStateException("answer " + header.correlationId() + " came for " + asked.correlationId());
            }
            ApiMessage message = api.messageType.newResponse();
            message.read(new ByteBufferAccessor(buffer), asked.apiVersion());
            if (buffer.hasRemaining()) {
                throw new IllegalStateException(buffer.remaining() + " bytes are left behind the answer");
            }
            String type = MESSAGES + message.getClass().getSimpleName();
            Method write = converter(type, "").getMethod("write", message.getClass(), short.class, boolean.class);
            JsonNode json = (JsonNode) write.invoke(null, message, asked.apiVersion(), false);
            if (message instanceof FetchResponseData fetched) {
                addRecords(fetched, json);
            }
            return json;
        }
    }

    /** The converters leave out the bytes of records. */
    static void addRecords(FetchResponseData fetched, JsonNode json) {
        for (int t = 0; t < fetched.responses().size(); t++) {
            var partitions = fetched.responses().get(t).partitions();
            for (int p = 0; p < partitions.size(); p++) {
                ObjectNode to = (ObjectNode) json.get("responses").get(t).get("partitions").get(p);
                to.remove("recordsSizeInBytes");
                if (partitions.get(p).records() == null) {
                    to.putNull("records");
                } else {
                    ByteBuffer bytes = ((MemoryRecords) partitions.get(p).records()).buffer();
                    byte[] copy = new byte[bytes.remaining()];
                    bytes.get(copy);
                    to.put("records", copy);
                }
            }
        }
    }

    /** A message, or a struct of it, with the defaults for what is not given. */
    static JsonNode whole(String message, String struct, JsonNode given, short version) throws Exception {
        Class<?> type = Class.forName(message + (struct.isEmpty() ? "" : "$" + struct));
        Object empty = type.getConstructor().newInstance();
        Class<?> converter = converter(message, struct);
        ObjectNode all = (ObjectNode) converter.getMethod("write", type, short.class, boolean.class).invoke(null, empty, version, true);
        for (Map.Entry<String, JsonNode> field : given.properties()) {
            JsonNode value = field.getValue();
            Class<?> element = value.isObject() || value.isArray() ? structOf(type, field.getKey()) : null;
            if (element != null && value.isObject()) {
                value = whole(message, element.getSimpleName(), value, version);
            } else if (element != null) {
                ArrayNode filled = JSON.createArrayNode();
                for (JsonNode one : value) {
                    filled.add(whole(message, element.getSimpleName(), one, version));
                }
                value = filled;
            }
            all.set(field.getKey(), value);
        }
        return all;
    }

    static Class<?> converter(String message, String struct) throws ClassNotFoundException {
        return Class.forName(message + "JsonConverter" + (struct.isEmpty() ? "" : "$" + struct + "JsonConverter"));
    }

    /** The generated class of a field that is a struct or a list of them; null if it is of a plain type. */
    static Class<?> structOf(Class<?> type, String field) throws NoSuchMethodException {
        Type found = type.getMethod(field).getGenericReturnType();
        if (found instanceof Class<?> list && java.util.Collection.class.isAssignableFrom(list)) {
            found = list.getGenericSuperclass();
        }
        if (found instanceof ParameterizedType list) {
            found = list.getActualTypeArguments()[0];
        }
        return found instanceof Class<?> struct && Message.class.isAssignableFrom(struct) ? struct : null;
    }
}
