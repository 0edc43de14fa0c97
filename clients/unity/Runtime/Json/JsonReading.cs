using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace GameApi.Json
{
    /// <summary>
    /// Reads the members of response bodies. Models are read member by member and not by reflection, so that code
    /// stripping and ahead-of-time compilation can't break them. Unknown members are ignored; a member that is
    /// missing or of another type is a <see cref="FormatException"/>.
    /// </summary>
    internal static class JsonReading
    {
        internal static JObject ParseObject(string text)
        {
            try
            {
                using (var reader = new JsonTextReader(new StringReader(text)))
                {
                    // Times stay text here, because strings in attributes may look like times.
                    reader.DateParseHandling = DateParseHandling.None;
                    reader.FloatParseHandling = FloatParseHandling.Double;
                    return JObject.Load(reader);
                }
            }
            catch (JsonException error)
            {
                throw new FormatException("The body is not a JSON object.", error);
            }
        }

        internal static string Text(this JObject json, string name) => Scalar<string>(json, name);

        internal static string TextOrNull(this JObject json, string name) =>
            IsNull(json, name) ? null : Scalar<string>(json, name);

        internal static long Long(this JObject json, string name) => Scalar<long>(json, name);

        internal static int Int(this JObject json, string name)
        {
            long value = Scalar<long>(json, name);
            if (value < int.MinValue || value > int.MaxValue)
            {
                throw new FormatException("The member '" + name + "' does not fit 32 bits.");
            }
            return (int)value;
        }

        internal static bool Bool(this JObject json, string name) => Scalar<bool>(json, name);

        internal static DateTimeOffset Time(this JObject json, string name)
        {
            DateTimeOffset time;
            string text = Scalar<string>(json, name);
            if (!DateTimeOffset.TryParse(
                text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out time))
            {
                throw new FormatException("The member '" + name + "' is not a time.");
            }
            return time;
        }

        internal static DateTimeOffset? TimeOrNull(this JObject json, string name) =>
            IsNull(json, name) ? (DateTimeOffset?)null : Time(json, name);

        internal static JObject Object(this JObject json, string name)
        {
            var value = json[name] as JObject;
            if (value == null)
            {
                throw Unexpected(name);
            }
            return value;
        }

        internal static JObject ObjectOrNull(this JObject json, string name) =>
            IsNull(json, name) ? null : Object(json, name);

        internal static IReadOnlyList<T> List<T>(this JObject json, string name, Func<JObject, T> read)
            where T : class
        {
            var array = json[name] as JArray;
            if (array == null)
            {
                throw Unexpected(name);
            }
            var items = new List<T>(array.Count);
            foreach (JToken item in array)
            {
                var value = item as JObject;
                if (value == null)
                {
                    throw Unexpected(name);
                }
                items.Add(read(value));
            }
            return items;
        }

        private static T Scalar<T>(JObject json, string name)
        {
            var value = json[name] as JValue;
            if (value == null || !(value.Value is T))
            {
                throw Unexpected(name);
            }
            return (T)value.Value;
        }

        private static bool IsNull(JObject json, string name)
        {
            JToken value = json[name];
            return value == null || value.Type == JTokenType.Null;
        }

        private static FormatException Unexpected(string name) =>
            new FormatException("The member '" + name + "' is missing or has an unexpected type.");
    }
}
